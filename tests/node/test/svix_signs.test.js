// What Svix's package signs, the gateway takes; what it did not sign, the gateway refuses.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { Webhook } from "svix";

import { Program, secret } from "../support/program.js";

let gateway;
let folder;

async function start(secrets = secret) {
    folder = await mkdtemp(path.join(os.tmpdir(), "mailbus-node-"));
    const settings = {
        "http.listen": "127.0.0.1:0",
        "admin.listen": "127.0.0.1:0",
        "bus.publish": "tcp://127.0.0.1:*",
        "bus.replay": "tcp://127.0.0.1:*",
        "journal.path": path.join(folder, "journal.db"),
    };
    const options = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    gateway = await new Program("mailbus-gateway", options, { MAILBUS_VERIFY_SECRET: secrets }).ready();
}

beforeEach(() => {
    gateway = folder = undefined;
});

afterEach(async () => {
    await gateway?.stop();
    if (folder) {
        await rm(folder, { recursive: true });
    }
});

let count = 0;

function event(more = {}) {
    return JSON.stringify({ type: "event", event_type: "message.sent", event_id: `evt_${++count}`, send: {}, ...more });
}

// Delivers `body` with the signature that `signer` makes over `signed`.
async function deliver(body, { signer = secret, signed = body, at = new Date(), prefix = "svix", change = (headers) => headers } = {}) {
    const id = `msg_${count}`;
    const headers = change({
        "Content-Type": "application/json",
        [`${prefix}-id`]: id,
        [`${prefix}-timestamp`]: String(Math.floor(at.getTime() / 1000)),
        [`${prefix}-signature`]: new Webhook(signer).sign(id, at, signed),
    });
    const response = await fetch(`${gateway.url}/webhook`, { method: "POST", headers, body });
    return { status: response.status, answer: await response.json() };
}

test("what svix signs is taken, with svix- and with webhook- names", async () => {
    await start();
    assert.deepEqual(await deliver(event()), { status: 200, answer: { sequence: "1", duplicate: false } });
    assert.deepEqual(await deliver(event(), { prefix: "webhook" }), { status: 200, answer: { sequence: "2", duplicate: false } });
    assert.equal((await deliver(event({ text: "Grüße ☃ 😀" }))).status, 200);
});

test("both secrets are good while one is being replaced", async () => {
    const next = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    await start(`${secret} ${next}`);
    assert.equal((await deliver(event())).status, 200);
    assert.equal((await deliver(event(), { signer: next })).status, 200);
    const body = event();
    const both = new Webhook(next).sign(`msg_${count}`, new Date(), body);
    const { status } = await deliver(body, { change: (h) => ({ ...h, "svix-signature": `v1,AAAA ${both} ${h["svix-signature"]}` }) });
    assert.equal(status, 200);
});

test("another secret, another body and an old signature are refused alike", async () => {
    await start();
    const refusals = [
        await deliver(event(), { signer: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" }),
        await deliver(event(), { signed: "{}" }),
        await deliver(event(), { at: new Date(Date.now() - 302_000) }),
        await deliver(event(), { at: new Date(Date.now() + 302_000) }),
    ];
    for (const refusal of refusals) {
        assert.equal(refusal.status, 401);
        assert.deepEqual(refusal.answer, refusals[0].answer); // never why
    }
});
