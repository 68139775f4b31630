#include "support/line_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

enum {
    SERVERS_MAX = 4,
    ANSWER_MAX = 256
};

static struct line_server *started[SERVERS_MAX];
static size_t count;

static void end_all(void)
{
    for (size_t i = 0; i < count; i++) {
        (void)fclose(started[i]->to);
        (void)waitpid(started[i]->pid, NULL, 0);
    }
}

static void read_line(struct line_server *server, char *line, size_t room)
{
    if (!fgets(line, (int)room, server->from))
        fail_msg("%s has ended", server->program);
    line[strcspn(line, "\n")] = 0;
}

static void start(struct line_server *server)
{
    char path[512];
    int to[2], from[2];
    (void)snprintf(path, sizeof path, "%s/%s", CC_SOURCE_DIR, server->program);
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        (void)close(to[1]);
        (void)close(from[0]);
        for (size_t i = 0; i < count; i++) /* another's input ends with this program */
            (void)close(fileno(started[i]->to));
        (void)execlp("python3", "python3", path, (char *)NULL);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    server->to = fdopen(to[1], "w");
    server->from = fdopen(from[0], "r");
    assert_true(server->to && server->from && count < SERVERS_MAX);
    if (count == 0)
        (void)atexit(end_all);
    started[count++] = server;
    read_line(server, server->endpoint, sizeof server->endpoint);
}

const char *line_server_endpoint(struct line_server *server)
{
    if (!server->to)
        start(server);
    return server->endpoint;
}

static CC_PRINTF(2, 0) void say(struct line_server *server,
                                const char *fmt,
                                va_list ap,
                                char ret_answer[static ANSWER_MAX])
{
    (void)line_server_endpoint(server);
    (void)vfprintf(server->to, fmt, ap);
    (void)fputc('\n', server->to);
    (void)fflush(server->to);
    read_line(server, ret_answer, ANSWER_MAX);
}

void line_server_do(struct line_server *server, const char *fmt, va_list ap)
{
    char answer[ANSWER_MAX];
    say(server, fmt, ap, answer);
    assert_string_equal(answer, "ok");
}

unsigned line_server_ask(struct line_server *server, const char *fmt, va_list ap)
{
    char answer[ANSWER_MAX];
    say(server, fmt, ap, answer);
    return (unsigned)strtoul(answer, NULL, 10);
}
