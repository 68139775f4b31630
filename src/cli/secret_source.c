#include "cli/secret_source.h"

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

enum {
    TEXT_MAX = SECRET_TEXT_MAX + 2 /* and a line end */
};

static bool skip(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*text, prefix, len) != 0)
        return false;
    *text += len;
    return true;
}

static cc_err take(struct span text, struct secret_text *secret)
{
    if (text.len && text.data[text.len - 1] == '\n')
        text.len--;
    if (text.len && text.data[text.len - 1] == '\r')
        text.len--;
    if (text.len == 0 || text.len > SECRET_TEXT_MAX)
        return CC_FAIL(MALFORMED, "there is nothing there, or too much");
    memcpy(secret->text, text.data, text.len);
    secret->text[text.len] = 0;
    secret->len = text.len;
    return CC_OK;
}

static cc_err take_variable(const char *name, char *const *environment, struct secret_text *secret)
{
    size_t len = strlen(name);
    for (; len && environment && *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return take(span_str(*environment + len + 1), secret);
    return CC_FAIL(MALFORMED, "the variable is not set");
}

/* Room for all of it at once: what grew would leave copies. */
static cc_err take_content(const char *path, int fd, struct secret_text *secret)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    uint8_t *room;
    CC_TRY(buf_grow(&text, TEXT_MAX, &room));
    text.len = 0;
    cc_err err = path ? file_read(path, &text) : fd_read_all(fd, &text);
    if (err.code)
        return CC_FAIL(MALFORMED, "it can't be read, or is too long");
    return take(buf_span(&text), secret);
}

CC_ERR secret_read(const char *source, char *const *environment, struct secret_text *ret_secret)
{
    uint64_t fd = 0;
    *ret_secret = (struct secret_text){.len = 0};
    if (skip(&source, "env:"))
        return take_variable(source, environment, ret_secret);
    if (skip(&source, "file:"))
        return take_content(source, -1, ret_secret);
    if (!skip(&source, "fd:") || u64_parse(span_str(source), &fd).code || fd > INT32_MAX)
        return CC_FAIL(MALFORMED, "env:NAME, file:PATH or fd:N, never the secret itself");
    return take_content(NULL, (int)fd, ret_secret);
}

/* --- the terminal ----------------------------------------------------------------------------------------------------------- */

/* For the handler of signals: a terminal without echo is left to nobody. */
static struct termios shown;
static volatile sig_atomic_t hidden_fd = -1;

static void give_echo_back(int number)
{
    if (hidden_fd >= 0)
        (void)tcsetattr(hidden_fd, TCSANOW, &shown);
    (void)raise(number); /* SA_RESETHAND: now it does what it does by itself */
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct sigaction action = {.sa_handler = give_echo_back,
                                   .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
        (void)sigaction(numbers[i], &action, NULL);
    }
}

static int open_terminal(void)
{
    return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static cc_err read_line(int fd, struct secret_text *line)
{
    char c = 0;
    line->len = 0;
    while (read(fd, &c, 1) == 1 && c != '\n') {
        if (line->len >= SECRET_TEXT_MAX)
            return CC_FAIL(MALFORMED, "too much was typed");
        line->text[line->len++] = c;
    }
    line->text[line->len] = 0;
    return c == '\n' ? CC_OK : CC_FAIL(IO, "the terminal went away");
}

/* The echo is off before the question stands there: what is typed at once counts, and is not shown. */
static cc_err read_hidden(int fd, const char *question, struct secret_text *line)
{
    if (tcgetattr(fd, &shown) != 0)
        return CC_FAIL(IO, "not a terminal");
    struct termios hidden = shown;
    hidden.c_lflag &= (tcflag_t) ~(tcflag_t)ECHO;
    hidden.c_lflag |= ECHONL;
    hidden_fd = fd;
    catch_signals();
    if (tcsetattr(fd, TCSAFLUSH, &hidden) != 0)
        return CC_FAIL(IO, "the terminal keeps its echo");
    cc_err err = fd_write_all(fd, question, strlen(question));
    if (!err.code)
        err = read_line(fd, line);
    (void)tcsetattr(fd, TCSADRAIN, &shown);
    hidden_fd = -1;
    return err;
}

CC_ERR terminal_ask_secret(const char *question, struct secret_text *ret_secret)
{
    CC_CLEANUP(fd_closep) int fd = open_terminal();
    *ret_secret = (struct secret_text){.len = 0};
    if (fd < 0)
        return CC_FAIL(IO, "there is no terminal to ask at: give env:NAME, file:PATH or fd:N");
    CC_TRY(read_hidden(fd, question, ret_secret));
    return ret_secret->len ? CC_OK : CC_FAIL(MALFORMED, "nothing was typed");
}

CC_ERR terminal_show(const char *text)
{
    CC_CLEANUP(fd_closep) int fd = open_terminal();
    if (fd < 0)
        return CC_FAIL(IO, "there is no terminal to show it at");
    return fd_write_all(fd, text, strlen(text));
}

CC_ERR terminal_confirm(const char *question, const char *instead)
{
    struct secret_text answer;
    CC_CLEANUP(fd_closep) int fd = open_terminal();
    if (fd < 0)
        return CC_FAIL(IO, instead);
    CC_TRY(fd_write_all(fd, question, strlen(question)));
    CC_TRY(read_line(fd, &answer));
    return strcmp(answer.text, "yes") == 0 ? CC_OK : CC_FAIL(MALFORMED, "not confirmed");
}
