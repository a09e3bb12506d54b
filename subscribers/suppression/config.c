#include "config.h"

#include <string.h>

#include "agentmail/client.h"
#include "check/server.h"
#include "list.h"

const mailbus_setting_t config_settings[] = {
    {"suppress.bounces", "boolean", "yes", "A permanent bounce suppresses its address", true, NULL},
    {"suppress.rejects", "boolean", "yes",
     "An address that the service does not send to, because it is on a list of its own, is "
     "suppressed here too",
     true, NULL},
    {"suppress.candidates", "choice:all none", "all",
     "A complaint that may be about several recipients suppresses all of them, marked ambiguous, "
     "or none",
     true, NULL},
    {"block_list.write", "boolean", "no",
     "Write every entry through to AgentMail's block list, so that all senders of the organisation "
     "obey",
     false, NULL},
    {"api.base_url", "text", AGENTMAIL_BASE_URL,
     "Where the API is; http only on a loopback address", false, NULL},
    {"api.key", "secret", "", "The API key; needed with block_list.write", false,
     "AGENTMAIL_API_KEY"},
    CHECK_SERVER_SETTINGS("tcp://127.0.0.1:5559"),
    {NULL, NULL, NULL, NULL, false, NULL},
};

static mailbus_code_t note(sqlite3 *db, void *arg, mailbus_error_t *error)
{
    return list_note_policy(db, arg, error);
}

mailbus_code_t config_policy(mailbus_runtime_t *runtime, policy_t *ret_policy,
                             mailbus_error_t *error)
{
    policy_t policy = {
        .bounces = mailbus_setting_boolean(runtime, "suppress.bounces"),
        .rejects = mailbus_setting_boolean(runtime, "suppress.rejects"),
        .candidates = strcmp(mailbus_setting_text(runtime, "suppress.candidates"), "all") == 0,
    };
    mailbus_code_t code = mailbus_with_store(runtime, note, &policy, error);
    if (code == MAILBUS_OK) {
        *ret_policy = policy;
    }
    return code;
}
