# What `make bench` and `make bench-summary` need beside the program itself, built only when asked for; and the program of the
# instruction-count gate, a test of the release-like build with test switches.

add_library(cc_bench_pieces STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/bench_pieces.c)
target_link_libraries(cc_bench_pieces PUBLIC cc_cli)
foreach(program bench_micro bench_history bench_authority)
    add_executable(${program} EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/${program}.c)
    target_link_libraries(${program} PRIVATE cc_bench_pieces)
endforeach()

find_program(VALGRIND valgrind)
find_path(VALGRIND_HEADERS valgrind/callgrind.h)
if(VALGRIND AND VALGRIND_HEADERS AND CC_TESTING AND NOT CC_SANITIZE AND NOT CC_FUZZ AND NOT CC_TEST_SET
   AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
    add_executable(bench_instructions ${CMAKE_SOURCE_DIR}/tests/bench/bench_instructions.c)
    target_link_libraries(bench_instructions PRIVATE cc_bench_pieces)
    cc_test(bench/instructions instructions 120 ${Python3_EXECUTABLE}
        ${CMAKE_SOURCE_DIR}/tests/bench/instructions --build ${CMAKE_BINARY_DIR})
    cc_test(bench/instructions_control instructions 120 ${Python3_EXECUTABLE}
        ${CMAKE_SOURCE_DIR}/tests/bench/instructions --build ${CMAKE_BINARY_DIR} --control)
endif()
