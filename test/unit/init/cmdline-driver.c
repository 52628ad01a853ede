// Lets the tests call cmdline_value() of native/init/proc.c: lines of "KEY<tab>COMMAND LINE" in, "=VALUE" or "none" out.
#include "init.h"

#include <stdio.h>
#include <string.h>

int main(void) {
  static char line[1 << 16];
  while (fgets(line, sizeof line, stdin) != NULL) {
    char value[64];
    char *cmdline = strchr(line, '\t');
    if (cmdline == NULL) return 1;
    *cmdline++ = '\0';
    if (cmdline_value(cmdline, line, value, sizeof value)) printf("=%s\n", value);
    else printf("none\n");
  }
  return 0;
}
