// Stands in for node where berth-init runs as PID 1 of a namespace: says what it was given, then dies, stays or leaves
// as the file /script says, one word a generation.
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

static void print_file(const char *path) {
  char line[4096];
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) printf("%s: %s", path, line);
  if (file != NULL) fclose(file);
}

static void report(char **argv) {
  char name[64] = "";
  struct ifreq lo = {.ifr_name = "lo"};
  gethostname(name, sizeof name - 1);
  ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFFLAGS, &lo);
  for (char **word = argv; *word != NULL; word++) printf("argv: %s\n", *word);
  for (char **word = environ; *word != NULL; word++) printf("env: %s\n", *word);
  printf("hostname: %s\nlo up: %d\npid 1 is parent: %d\n", name, (lo.ifr_flags & IFF_UP) != 0, getppid() == 1);
  print_file("/proc/mounts");
}

static void on_term(int number) {
  (void)number;
  static const char text[] = "agent got TERM\n";
  if (write(1, text, sizeof text - 1) < 0) _exit(1);
  _exit(0);
}

/* A grandchild that outlives its parent and ignores what it is politely told. */
static void leave_stubborn_orphan(void) {
  if (fork() != 0) return;
  if (fork() != 0) _exit(0);
  signal(SIGTERM, SIG_IGN);
  printf("orphan ready\n");
  fflush(stdout);
  for (;;) pause();
}

int main(int argc, char **argv) {
  (void)argc;
  char script[256] = "";
  char *rest = NULL;
  int fd = open("/script", O_RDONLY);
  if (fd < 0 || read(fd, script, sizeof script - 1) < 0) return 1;
  close(fd);
  char *word = strtok_r(script, " \n", &rest);
  for (int i = atoi(getenv("BERTH_GENERATION")); i > 1 && word != NULL; i--) word = strtok_r(NULL, " \n", &rest);
  printf("generation %s: %s\n", getenv("BERTH_GENERATION"), word == NULL ? "(none)" : word);
  if (word == NULL) return 1;
  if (strcmp(word, "report") == 0) report(argv);
  if (strcmp(word, "orphan") == 0) leave_stubborn_orphan();
  fflush(stdout);
  if (strcmp(word, "signal") == 0) {
    signal(SIGTERM, on_term);
    kill(1, SIGHUP); /* nothing PID 1 acts on */
    kill(1, SIGPWR);
    for (;;) pause();
  }
  if (strcmp(word, "power-off") == 0 || strcmp(word, "restart") == 0) {
    unsigned char message[16] = {1, 0, 4, 0};
    message[8] = strcmp(word, "restart") == 0;
    /* An empty message reads like the end of the socket, and must not be taken for it. */
    if (send(3, message, 0, 0) < 0 || send(3, message, sizeof message, 0) < 0) return 1;
    usleep(200000);
  }
  return 0;
}
