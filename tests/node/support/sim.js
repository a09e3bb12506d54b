// Starts agentmail-sim and a receiver of webhooks for a test, and stops them.
import { once } from "node:events";
import http from "node:http";

import { Program, secret } from "./program.js";

export { secret, waitFor } from "./program.js";

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

export class Sim extends Program {
    static start(...options) {
        return new Sim("agentmail-sim", ["--listen", "127.0.0.1:0", "--secret", secret, "--time-scale", "1000", ...options]).ready();
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
}
