# The load generator and the raw BLS loop of `make bench`, and a bench of the history alone; built only when asked for.

find_package(Threads REQUIRED)
foreach(program bench_load bench_raw)
    add_executable(${program} EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/${program}.c)
    target_link_libraries(${program} PRIVATE cc_crypto Threads::Threads)
endforeach()
add_executable(bench_history EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/bench_history.c)
target_link_libraries(bench_history PRIVATE cc_slash)
