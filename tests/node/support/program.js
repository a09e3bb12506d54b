// Starts one of Mailbus's programs for a test, waits until it is ready, and stops it.
import { spawn } from "node:child_process";
import { once } from "node:events";
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

export class Program {
    constructor(name, options, environment = {}) {
        this.name = name;
        this.process = spawn(path.join(bin, name), options, {
            stdio: ["ignore", "ignore", "pipe"],
            env: { ...process.env, ...environment },
        });
        this.log = [];
        this.exited = once(this.process, "exit");
        this.process.on("error", (error) => (this.failed = error));
        readline.createInterface({ input: this.process.stderr }).on("line", (line) => this.log.push(line));
    }

    // Ready, and listening for HTTP at `url`.
    async ready() {
        await waitFor(() => {
            if (this.failed || this.process.exitCode !== null) {
                throw new Error(`${this.name} did not start: ${this.failed ?? this.log.join("\n")}`);
            }
            return this.log.some((line) => line.includes("stage=main message=ready"));
        }, `${this.name} to be ready`);
        const line = this.log.find((entry) => entry.includes("stage=http message=listening"));
        this.url = `http://${/ address=(\S+)/.exec(line)[1]}`;
        return this;
    }

    // SIGTERM; the exit status must be 0.
    async stop() {
        this.process.kill("SIGTERM");
        const [code, signal] = await this.exited;
        if (code !== 0) {
            throw new Error(`${this.name} ended with ${code ?? signal}:\n${this.log.slice(-20).join("\n")}`);
        }
    }
}
