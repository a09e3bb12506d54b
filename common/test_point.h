/* Named points at which a test ends a program as kill -9 would. In builds without tests they are
 * nothing. */
#ifndef MB_TEST_POINT_H
#define MB_TEST_POINT_H

#ifdef MAILBUS_TEST_POINTS
/* With MAILBUS_TEST_KILL="name" in the environment: SIGKILL here. "name:3": at the third time. */
void mb_test_point(const char *name);
#else
#define mb_test_point(name) ((void)0)
#endif

#endif
