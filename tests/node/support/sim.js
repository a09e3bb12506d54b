// Starts agentmail-sim and a receiver of webhooks for a test, and stops them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const bin = process.env.MAILBUS_BIN ?? path.resolve(here, "../../../build/dev/bin");
const deadlineMs = 30000;

export const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

// Waits until `condition` gives something true, by looking at it again and again, within a bound.
export async function waitFor(condition, what) {
    const end = Date.now() + deadlineMs;
    for (;;) {
        const value = await condition();
        if (value) {
            return value;
        }
        if (Date.now() > end) {
            throw new Error(`gave up waiting for ${what}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

// A receiver that keeps every delivery: {headers, body (Buffer)}. `statuses`: what to answer, in
// turn; then 200.
export class Receiver {
    static async start(statuses = []) {
        const self = new Receiver();
        self.deliveries = [];
        self.server = http.createServer((request, response) => {
            const chunks = [];
            request.on("data", (chunk) => chunks.push(chunk));
            request.on("end", () => {
                self.deliveries.push({ headers: request.headers, body: Buffer.concat(chunks) });
                response.statusCode = statuses.length > 0 ? statuses.shift() : 200;
                response.end();
            });
        });
        self.server.listen(0, "127.0.0.1");
        await once(self.server, "listening");
        self.url = `http://127.0.0.1:${self.server.address().port}/webhook`;
        return self;
    }

    events() {
        return this.deliveries.map((delivery) => JSON.parse(delivery.body.toString("utf8")));
    }

    async stop() {
        this.server.close();
        this.server.closeAllConnections?.(); // from Node 18.2 on; connections end with the sender else
    }
}

export class Sim {
    static async start(...options) {
        const self = new Sim();
        const program = path.join(bin, "agentmail-sim");
        self.process = spawn(program, ["--listen", "127.0.0.1:0", "--secret", secret, "--time-scale", "1000", ...options], {
            stdio: ["ignore", "ignore", "pipe"],
        });
        self.log = [];
        self.exited = once(self.process, "exit");
        let failed = null;
        self.process.on("error", (error) => (failed = error));
        readline.createInterface({ input: self.process.stderr }).on("line", (line) => self.log.push(line));
        await waitFor(() => {
            if (failed || self.process.exitCode !== null) {
                throw new Error(`${program} did not start: ${failed ?? self.log.join("\n")}`);
            }
            return self.log.some((line) => line.includes("stage=main message=ready"));
        }, "agentmail-sim to be ready");
        const line = self.log.find((entry) => entry.includes("stage=http message=listening"));
        self.url = `http://${/ address=(\S+)/.exec(line)[1]}`;
        return self;
    }

    async call(method, where, body, headers = {}) {
        const response = await fetch(this.url + where, {
            method,
            headers: { "Content-Type": "application/json", ...headers },
            body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
        });
        const text = await response.text();
        return { status: response.status, body: text === "" ? null : JSON.parse(text) };
    }

    async receive(mail) {
        const { status, body } = await this.call("POST", "/sim/receive", mail);
        if (status !== 200) {
            throw new Error(`/sim/receive: ${status} ${JSON.stringify(body)}`);
        }
        return body;
    }

    // SIGTERM; the exit status must be 0.
    async stop() {
        this.process.kill("SIGTERM");
        const [code, signal] = await this.exited;
        if (code !== 0) {
            throw new Error(`agentmail-sim ended with ${code ?? signal}:\n${this.log.slice(-20).join("\n")}`);
        }
    }
}
