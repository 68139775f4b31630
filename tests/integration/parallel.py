"""Runs a function over many items on a few threads, each with a connection of its own."""
import queue
import threading


def each(daemon, items, work, threads=8):
    """Calls work(connection, item) for every item; returns the results in order; the first exception is raised."""
    todo = queue.SimpleQueue()
    items = list(items)
    results = [None] * len(items)
    failures = []
    for numbered in enumerate(items):
        todo.put(numbered)

    def run():
        connection = daemon.connect()
        try:
            while not failures:
                number, item = todo.get_nowait()
                results[number] = work(connection, item)
        except queue.Empty:
            pass
        except BaseException as fault:  # pylint: disable=broad-except
            failures.append(fault)
        finally:
            connection.close()

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return results
