/* The two clocks. Everything that decides by time takes the time as a parameter; only main loops
 * ask here. */
#ifndef MB_CLOCK_H
#define MB_CLOCK_H

#include <stdint.h>

int64_t mb_clock_wall_ms(void);      /* ms since 1970: for records and for other machines */
int64_t mb_clock_monotonic_ms(void); /* ms since some moment: for deadlines; never jumps */

#endif
