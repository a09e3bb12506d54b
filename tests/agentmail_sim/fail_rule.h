/* How the next calls or deliveries fail: POST /sim/fail. */
#ifndef SIM_FAIL_RULE_H
#define SIM_FAIL_RULE_H

#include <stdint.h>

typedef enum {
    FAIL_STATUS, /* answered with `status`; nothing is carried out */
    FAIL_RESET,  /* the connection ends without an answer; nothing is carried out */
    FAIL_AFTER,  /* carried out; then the answer is `status`, or none where that is 0 */
} fail_mode_t;

typedef struct {
    int64_t count; /* still to fail */
    fail_mode_t mode;
    unsigned status;
    unsigned retry_after; /* seconds; 0: not said */
} fail_rule_t;

#endif
