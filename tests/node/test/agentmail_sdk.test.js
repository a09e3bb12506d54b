// AgentMail's own SDK against agentmail-sim: every call that Mailbus uses. What the SDK takes from the
// stand-in, it takes from the service.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { AgentMailClient, AgentMailError } from "agentmail";

import { Sim } from "../support/sim.js";

const inbox = "support@agentmail.to";

describe("the SDK's calls", () => {
    let sim;
    let client;

    before(async () => {
        sim = await Sim.start("--inbox", inbox);
        client = new AgentMailClient({ apiKey: "am_test", baseUrl: sim.url });
    });
    after(() => sim.stop());

    // A mail with an attachment that has come in.
    async function received(extra = {}) {
        return sim.receive({
            inbox_id: inbox,
            from: "Jane Doe <jane@example.com>",
            to: [`Support <${inbox}>`, "team@example.com"],
            cc: ["boss@example.com"],
            subject: "Question",
            text: "Hello?\n",
            attachments: [{ filename: "a.txt", content_type: "text/plain", content: Buffer.from("content").toString("base64") }],
            ...extra,
        });
    }

    async function sentMail(messageId) {
        const { body } = await sim.call("GET", "/sim/sent");
        return body.sent.find((mail) => mail.message_id === messageId);
    }

    test("inboxes: create, get, list", async () => {
        const made = await client.inboxes.create({ username: "sales", domain: "agentmail.to", displayName: "Sales", clientId: "c1" });
        assert.equal(made.inboxId, "sales@agentmail.to");
        assert.equal(made.displayName, "Sales");
        assert.ok(made.createdAt instanceof Date);
        const again = await client.inboxes.create({ username: "sales", domain: "agentmail.to", clientId: "c1" });
        assert.equal(again.inboxId, made.inboxId);
        assert.equal((await client.inboxes.get(made.inboxId)).clientId, "c1");
        const list = await client.inboxes.list();
        assert.equal(list.count, list.inboxes.length);
        assert.deepEqual(list.inboxes.map((one) => one.inboxId), [inbox, made.inboxId]);
        await assert.rejects(client.inboxes.get("nobody@agentmail.to"), { statusCode: 404 });
    });

    test("send with everything a mail can have", async () => {
        const answer = await client.inboxes.messages.send(inbox, {
            to: ["Ann <ann@example.com>"],
            cc: "bob@example.com",
            bcc: ["eve@example.com"],
            replyTo: "help@example.com",
            subject: "Grüße",
            text: "Hi",
            html: "<p>Hi</p>",
            labels: ["campaign"],
            headers: { "X-Test": "yes" },
            attachments: [{ filename: "b.bin", contentType: "application/x-b", content: "AAEC" }],
        });
        assert.match(answer.messageId, /^<[^<>@]+@[^<>@]+>$/);
        assert.ok(answer.threadId);
        const mail = await sentMail(answer.messageId);
        assert.deepEqual(mail.to, ["Ann <ann@example.com>"]);
        assert.deepEqual(mail.cc, ["bob@example.com"]);
        assert.deepEqual(mail.bcc, ["eve@example.com"]);
        assert.deepEqual(mail.reply_to, ["help@example.com"]);
        assert.equal(mail.headers["X-Test"], "yes");
        assert.deepEqual(mail.labels, ["campaign", "sent"]);
        assert.equal(mail.attachments[0].size, 3);
    });

    test("reply goes to the sender, into the same thread, and names what it answers", async () => {
        const mail = await received();
        const answer = await client.inboxes.messages.reply(inbox, mail.message_id, { text: "Thanks" });
        assert.equal(answer.threadId, mail.thread_id);
        const sent = await sentMail(answer.messageId);
        assert.deepEqual(sent.to, ["Jane Doe <jane@example.com>"]);
        assert.equal(sent.subject, "Re: Question");
        assert.equal(sent.in_reply_to, mail.message_id);
        assert.deepEqual(sent.references, [mail.message_id]);
        assert.equal(sent.cc, undefined);
    });

    test("reply-all goes to everybody but ourselves", async () => {
        const mail = await received();
        const answer = await client.inboxes.messages.replyAll(inbox, mail.message_id, { text: "Thanks, all" });
        const sent = await sentMail(answer.messageId);
        assert.deepEqual(sent.to, ["Jane Doe <jane@example.com>"]);
        assert.deepEqual(sent.cc, ["team@example.com", "boss@example.com"]);
    });

    test("forward takes text and attachments along", async () => {
        const mail = await received();
        const answer = await client.inboxes.messages.forward(inbox, mail.message_id, { to: "ops@example.com", text: "See below" });
        const sent = await sentMail(answer.messageId);
        assert.equal(sent.subject, "Fwd: Question");
        assert.match(sent.text, /^See below\n[^]*Hello\?/);
        assert.equal(sent.attachments[0].filename, "a.txt");
    });

    test("get and list messages", async () => {
        const mail = await received({ subject: "To be found", labels: ["special"] });
        const message = await client.inboxes.messages.get(inbox, mail.message_id);
        assert.equal(message.subject, "To be found");
        assert.equal(message.text, "Hello?\n");
        assert.equal(message.extractedText, "Hello?");
        assert.equal(message.headers["Message-ID"], mail.message_id);
        assert.ok(message.timestamp instanceof Date);
        const list = await client.inboxes.messages.list(inbox, { labels: ["special"], limit: 5 });
        assert.deepEqual(list.messages.map((one) => one.messageId), [mail.message_id]);
        const page = await client.inboxes.messages.list(inbox, { limit: 1 });
        assert.equal(page.messages.length, 1);
        const next = await client.inboxes.messages.list(inbox, { limit: 1, pageToken: page.nextPageToken });
        assert.notEqual(next.messages[0].messageId, page.messages[0].messageId);
        await assert.rejects(client.inboxes.messages.get(inbox, "<none@example.com>"), { statusCode: 404 });
    });

    test("raw: JSON with a URL behind which the file is, without an API key", async () => {
        const mail = await received();
        const raw = await client.inboxes.messages.getRaw(inbox, mail.message_id);
        assert.equal(raw.messageId, mail.message_id);
        const response = await fetch(raw.downloadUrl);
        assert.equal(response.status, 200);
        const file = await response.text();
        assert.equal(Buffer.byteLength(file), raw.size);
        assert.ok(file.includes(`Message-ID: ${mail.message_id}\r\n`));
    });

    test("attachment: JSON with a URL behind which the bytes are", async () => {
        const mail = await received();
        const message = await client.inboxes.messages.get(inbox, mail.message_id);
        const id = message.attachments[0].attachmentId;
        const attachment = await client.inboxes.messages.getAttachment(inbox, mail.message_id, id);
        assert.equal(attachment.filename, "a.txt");
        assert.equal(attachment.size, 7);
        assert.equal(await (await fetch(attachment.downloadUrl)).text(), "content");
        await assert.rejects(client.inboxes.messages.getAttachment(inbox, mail.message_id, "none"), { statusCode: 404 });
    });

    test("labels are added and removed", async () => {
        const mail = await received();
        const answer = await client.inboxes.messages.update(inbox, mail.message_id, { addLabels: ["done"], removeLabels: ["unread"] });
        assert.equal(answer.messageId, mail.message_id);
        assert.deepEqual(answer.labels, ["received", "done"]);
    });

    test("webhooks: create, get, list, update, delete", async () => {
        const made = await client.webhooks.create({
            url: "http://127.0.0.1:9/webhook", eventTypes: ["message.received"], inboxIds: [inbox], clientId: "w1",
        });
        assert.match(made.secret, /^whsec_/);
        assert.equal(made.enabled, true);
        assert.deepEqual(made.eventTypes, ["message.received"]);
        const again = await client.webhooks.create({ url: "http://127.0.0.1:9/other", eventTypes: ["message.sent"], clientId: "w1" });
        assert.equal(again.webhookId, made.webhookId);
        assert.equal((await client.webhooks.get(made.webhookId)).secret, made.secret);
        const changed = await client.webhooks.update(made.webhookId, { removeInboxIds: [inbox], addInboxIds: ["a@agentmail.to"] });
        assert.deepEqual(changed.inboxIds, ["a@agentmail.to"]);
        assert.equal((await client.webhooks.list()).count, 1);
        await client.webhooks.delete(made.webhookId);
        assert.equal((await client.webhooks.list()).count, 0);
        await assert.rejects(client.webhooks.delete(made.webhookId), { statusCode: 404 });
        await assert.rejects(client.webhooks.create({ url: "http://127.0.0.1:9/", eventTypes: [] }), { statusCode: 400 });
    });

    test("lists: an entry on send/block refuses the mail until it is deleted", async () => {
        const entry = await client.lists.create("send", "block", { entry: "Gone@example.com", reason: "left" });
        assert.equal(entry.entry, "gone@example.com");
        assert.equal(entry.entryType, "email");
        assert.equal((await client.lists.get("send", "block", "gone@example.com")).reason, "left");
        assert.equal((await client.lists.list("send", "block")).count, 1);
        await assert.rejects(client.inboxes.messages.send(inbox, { to: "gone@example.com", text: "x" }), (error) => {
            assert.ok(error instanceof AgentMailError);
            assert.equal(error.statusCode, 403);
            assert.equal(error.body.code, "message_rejected");
            return true;
        });
        await client.lists.delete("send", "block", "gone@example.com");
        await client.inboxes.messages.send(inbox, { to: "gone@example.com", text: "x" });
    });

    test("an idempotency key makes a repeated call give the first answer", async () => {
        const mail = { to: "once@example.com", subject: "Once", text: "x" };
        const first = await client.inboxes.messages.send(inbox, mail, { idempotencyKey: "key-1" });
        const second = await client.inboxes.messages.send(inbox, mail, { idempotencyKey: "key-1" });
        assert.deepEqual(second, first);
        await assert.rejects(client.inboxes.messages.send(inbox, { ...mail, text: "y" }, { idempotencyKey: "key-1" }), {
            statusCode: 409,
        });
        const { body } = await sim.call("GET", "/sim/sent");
        assert.equal(body.sent.filter((one) => one.idempotency_key === "key-1").length, 1);
    });

    test("the SDK's own retry of a failed answer sends no second mail", async () => {
        await sim.call("POST", "/sim/fail", { target: "api", count: 1, status: 503, mode: "after" });
        const answer = await client.inboxes.messages.send(
            inbox, { to: "retry@example.com", text: "x" }, { idempotencyKey: "key-2", maxRetries: 2 });
        const { body } = await sim.call("GET", "/sim/sent");
        const sent = body.sent.filter((one) => one.idempotency_key === "key-2");
        assert.deepEqual(sent.map((one) => one.message_id), [answer.messageId]);
    });

    test("errors have the service's shape", async () => {
        await assert.rejects(client.inboxes.messages.send(inbox, { text: "nobody" }), (error) => {
            assert.equal(error.statusCode, 422);
            assert.ok(error.body.name && error.body.code && error.body.message);
            return true;
        });
        await sim.call("POST", "/sim/fail", { target: "api", count: 1, status: 429, retry_after: 3 });
        await assert.rejects(client.inboxes.list({}, { maxRetries: 0 }), (error) => {
            assert.equal(error.statusCode, 429);
            assert.equal(error.rawResponse.headers.get("retry-after"), "3");
            return true;
        });
        const { status, body } = await sim.call("GET", "/v0/inboxes");
        assert.equal(status, 401);
        assert.equal(body.code, "unauthorized");
    });
});
