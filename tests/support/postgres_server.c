#include "support/postgres_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

static struct {
    pid_t pid;
    FILE *to;
    FILE *from;
    char url[256];
    unsigned schemas;
} server;

static void read_line(char *line, size_t room)
{
    if (!fgets(line, (int)room, server.from))
        fail_msg("tests/support/postgres.py has ended");
    line[strcspn(line, "\n")] = 0;
}

static void end(void)
{
    if (!server.to)
        return;
    (void)fclose(server.to);
    (void)waitpid(server.pid, NULL, 0);
}

static void start(void)
{
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        (void)close(to[1]);
        (void)close(from[0]);
        (void)execlp("python3", "python3", CC_SOURCE_DIR "/tests/support/postgres.py",
                     (char *)NULL);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    server.to = fdopen(to[1], "w");
    server.from = fdopen(from[0], "r");
    assert_true(server.to && server.from);
    read_line(server.url, sizeof server.url);
    (void)atexit(end);
}

const char *postgres_server_url(void)
{
    const char *given = getenv("CC_POSTGRES_URL");
    if (given)
        return given;
    if (!server.to)
        start();
    return server.url;
}

void postgres_server_do(const char *word)
{
    char answer[16];
    (void)fprintf(server.to, "%s\n", word);
    (void)fflush(server.to);
    read_line(answer, sizeof answer);
    assert_string_equal(answer, "ok");
}

PGconn *postgres_server_connect(const char *url)
{
    PGconn *conn = PQconnectdb(url);
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    return conn;
}

void postgres_server_sql(PGconn *conn, const char *sql, char *ret_value, size_t room)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    if (ret_value)
        (void)snprintf(ret_value, room, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
}

static void run_once(const char *sql)
{
    PGconn *conn = postgres_server_connect(postgres_server_url());
    postgres_server_sql(conn, sql, NULL, 0);
    PQfinish(conn);
}

void postgres_server_schema(char *ret_url, size_t room)
{
    char sql[128];
    char name[64];
    (void)snprintf(name, sizeof name, "test_%d_%u", (int)getpid(), server.schemas++);
    (void)snprintf(sql, sizeof sql, "CREATE SCHEMA %s", name);
    run_once(sql);
    int n = snprintf(ret_url, room, "%s&options=-csearch_path%%3D%s", postgres_server_url(), name);
    assert_true(n > 0 && (size_t)n < room);
}

void postgres_server_drop(const char *url)
{
    char sql[128];
    const char *name = strrchr(url, 'D'); /* of %3D */
    assert_non_null(name);
    (void)snprintf(sql, sizeof sql, "SET client_min_messages = error; DROP SCHEMA %s CASCADE",
                   name + 1);
    run_once(sql);
}
