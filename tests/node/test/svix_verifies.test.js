// Svix's own verifier takes what agentmail-sim delivers, at the first attempt and at a retry.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Webhook } from "svix";

import { Receiver, Sim, secret, waitFor } from "../support/sim.js";

let sim;
let receiver;

async function start(statuses = []) {
    receiver = await Receiver.start(statuses);
    sim = await Sim.start("--webhook-url", receiver.url, "--inbox", "support@agentmail.to");
}

beforeEach(() => {
    sim = receiver = undefined;
});

afterEach(async () => {
    await sim?.stop();
    await receiver?.stop();
});

const mail = { from: "jane@example.com", to: ["support@agentmail.to"], subject: "Grüße ☃", text: "Hello 😀" };

test("deliveries verify with the secret of the command line", async () => {
    await start();
    const answer = await sim.receive(mail);
    await waitFor(() => receiver.deliveries.length === 1, "the delivery");
    const { headers, body } = receiver.deliveries[0];
    const event = new Webhook(secret).verify(body.toString("utf8"), headers);
    assert.equal(event.event_id, answer.event_id);
    assert.equal(event.message.subject, mail.subject);
    assert.throws(() => new Webhook(secret).verify(body.toString("utf8") + " ", headers), /signature/i);
    assert.throws(() => new Webhook("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").verify(body.toString("utf8"), headers), /signature/i);
});

test("a retry has the same id, and a signature and a timestamp of its own that verify", async () => {
    await start([500, 302]);
    await sim.receive(mail);
    await waitFor(() => receiver.deliveries.length === 3, "the third attempt");
    const ids = new Set(receiver.deliveries.map((delivery) => delivery.headers["svix-id"]));
    assert.equal(ids.size, 1);
    for (const { headers, body } of receiver.deliveries) {
        new Webhook(secret).verify(body.toString("utf8"), headers);
    }
    const stamps = receiver.deliveries.map((delivery) => Number(delivery.headers["svix-timestamp"]));
    assert.deepEqual([...stamps].sort(), stamps);
    const report = await waitFor(async () => {
        const { body } = await sim.call("GET", "/sim/deliveries");
        return body.succeeded === 1 && body;
    }, "the delivery to be over");
    assert.deepEqual(report.deliveries[0].attempts.map((attempt) => attempt.status), [500, 302, 200]);
});

test("a registered webhook is signed with its own secret", async () => {
    await start();
    const other = await Receiver.start();
    try {
        const { body: webhook } = await sim.call(
            "POST", "/v0/webhooks", { url: other.url, event_types: ["message.received"], headers: { "X-Shared": "s3" } },
            { Authorization: "Bearer am_test" });
        await sim.receive(mail);
        await waitFor(() => other.deliveries.length === 1 && receiver.deliveries.length === 1, "both deliveries");
        const { headers, body } = other.deliveries[0];
        new Webhook(webhook.secret).verify(body.toString("utf8"), headers);
        assert.throws(() => new Webhook(secret).verify(body.toString("utf8"), headers), /signature/i);
        assert.equal(headers["x-shared"], "s3");
        assert.equal(headers["svix-id"], receiver.deliveries[0].headers["svix-id"]);
    } finally {
        await other.stop();
    }
});

test("a body that is passed on as it is verifies byte for byte", async () => {
    await start();
    const odd = '{ "event_type" : "message.sent",\n\t"x": 1.50, "s": "h\\u00e9llo ☃ 😀" }';
    await sim.call("POST", "/sim/events", odd);
    await waitFor(() => receiver.deliveries.length === 1, "the delivery");
    const { headers, body } = receiver.deliveries[0];
    assert.equal(body.toString("utf8"), odd);
    new Webhook(secret).verify(body.toString("utf8"), headers);
});
