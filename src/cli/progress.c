#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    WIDTH = 40,
    AROUND = 20 /* brackets, a number, and what fills a short name */
};

void progress_begin(struct progress *p, const char *what, uint64_t total, enum progress_how how)
{
    *p = (struct progress){.what = what, .total = total, .how = how};
    p->terminal = how != PROGRESS_NONE && isatty(STDERR_FILENO) == 1;
    if (how == PROGRESS_BAR && !p->terminal)
        p->how = PROGRESS_NONE;
    p->next_ms = clock_mono_ms() + (p->terminal ? 0 : PROGRESS_LINE_MS);
}

static unsigned percent_of(const struct progress *p, uint64_t done)
{
    return done >= p->total ? 100 : (unsigned)((double)done * 100 / (double)p->total);
}

static void show_bar(const struct progress *p, uint64_t done)
{
    char bar[WIDTH + 1];
    unsigned percent = percent_of(p, done);
    for (unsigned i = 0; i < WIDTH; i++)
        bar[i] = i * 100 < percent * WIDTH ? '#' : '.';
    bar[WIDTH] = 0;
    (void)fprintf(stderr, "\r%-10s [%s] %3u %%", p->what, bar, percent);
}

void progress_at(struct progress *p, uint64_t done)
{
    if (p->how == PROGRESS_NONE)
        return;
    uint64_t now = clock_mono_ms();
    if (now < p->next_ms)
        return;
    p->next_ms = now + (p->terminal ? PROGRESS_BAR_MS : PROGRESS_LINE_MS);
    p->shown = true;
    if (p->terminal && p->total)
        show_bar(p, done);
    else if (p->total)
        (void)fprintf(stderr, "%s: %u %%\n", p->what, percent_of(p, done));
    else
        (void)fprintf(stderr, p->terminal ? "\r%s: %llu" : "%s: %llu\n", p->what,
                      (unsigned long long)done);
    (void)fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->terminal && p->shown)
        (void)fprintf(stderr, "\r%*s\r", (int)strlen(p->what) + WIDTH + AROUND, "");
    p->shown = false;
}
