# Tests are found by name: tests/unit/<folder>/test_<file>.c and tests/conformance/test_*.c are
# cmocka programs linked with everything; tests/fuzz/fuzz_<parser>.c are libFuzzer targets, run over
# their corpus in every build and as fuzzers with -DCC_FUZZ=ON; tests/integration/ is pytest.
# Labels carry the time budgets of docs/testing.md.
#
# CC_TEST_SET: "" all, under their own labels; "asan" the C tests and the corpus, "tsan" the tests of
# what has threads - both with the set's name before the test's name and as its only label, so that
# several builds can be run as one CTest tree (tools/join-tests).

set(CC_TEST_SET "" CACHE STRING "Which tests this build registers: empty, asan or tsan")
set(CC_RELEASE_BINARY "" CACHE FILEPATH "A release binary, for the integration tests that want one")
set(cc_threaded "^unit/(wire|vault|core|front|keys|app)/")

# cJSON reads the vectors: a parser that is not the one under test.
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
pkg_check_modules(CJSON IMPORTED_TARGET libcjson)
file(GLOB unit_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/*/test_*.c)
file(GLOB conformance_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/conformance/test_*.c)
file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
file(GLOB support CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.c)
file(GLOB integration_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/integration/test_*.py)

set(CC_VECTORS_DEFAULT ${CMAKE_SOURCE_DIR}/../shared/vectors)
if(DEFINED ENV{CC_VECTORS})
    set(CC_VECTORS_DEFAULT $ENV{CC_VECTORS})
endif()
set(cc_sanitizer_env "ASAN_OPTIONS=detect_leaks=1:abort_on_error=1;UBSAN_OPTIONS=print_stacktrace=1")

# cc_test(NAME LABEL TIMEOUT COMMAND...): registers one test under the set's name and label.
function(cc_test NAME LABEL TIMEOUT)
    set(label ${LABEL})
    if(CC_TEST_SET)
        set(NAME ${CC_TEST_SET}/${NAME})
        set(label ${CC_TEST_SET})
    endif()
    add_test(NAME ${NAME} COMMAND ${ARGN})
    set_tests_properties(${NAME} PROPERTIES LABELS ${label} TIMEOUT ${TIMEOUT} ENVIRONMENT
        "CC_VECTORS=${CC_VECTORS_DEFAULT};CC_BUILD_DIR=${CMAKE_BINARY_DIR};${cc_sanitizer_env}")
endfunction()

if(TARGET PkgConfig::CMOCKA AND TARGET PkgConfig::CJSON AND NOT CC_FUZZ)
    add_library(cc_test_support STATIC ${support})
    target_link_libraries(cc_test_support PUBLIC cc_cli PkgConfig::CMOCKA PkgConfig::CJSON)
    target_include_directories(cc_test_support PUBLIC ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(cc_test_support PRIVATE CC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    foreach(kind unit conformance)
        foreach(source ${${kind}_tests})
            file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/tests ${source})
            string(REGEX REPLACE "\\.c$" "" name ${name})
            if(CC_TEST_SET STREQUAL "tsan" AND NOT name MATCHES "${cc_threaded}")
                continue()
            endif()
            string(REPLACE "/" "_" target ${name})
            add_executable(${target} ${source})
            target_link_libraries(${target} PRIVATE cc_test_support)
            cc_test(${name} ${kind} 300 ${target})
        endforeach()
    endforeach()
endif()

if(CC_TEST_SET STREQUAL "tsan")
    set(fuzzers "")
endif()
foreach(source ${fuzzers})
    get_filename_component(target ${source} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" parser ${target})
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${parser})
    # The ledger finds slashable pairs; it needs no cmocka.
    add_executable(${target} ${source} ${CMAKE_SOURCE_DIR}/tests/support/ledger.c)
    target_link_libraries(${target} PRIVATE cc_cli)
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_compile_options(${target} PRIVATE -Wno-missing-prototypes -Wno-missing-declarations)
    if(CC_FUZZ)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.c)
        cc_test(fuzz/${parser} fuzz 120 ${target} ${corpus})
    endif()
endforeach()

# tests/ctime/ctime_*.c: secrets are undefined memory, and valgrind reports what depends on them.
find_program(VALGRIND valgrind)
file(GLOB ctime_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/ctime/ctime_*.c)
if(VALGRIND AND CC_TESTING AND NOT CC_FUZZ AND NOT CC_SANITIZE AND NOT CC_TEST_SET)
    foreach(source ${ctime_tests})
        get_filename_component(target ${source} NAME_WE)
        string(REGEX REPLACE "^ctime_" "" name ${target})
        add_executable(${target} ${source})
        target_link_libraries(${target} PRIVATE cc_cli)
        set(run ${VALGRIND} -q --error-exitcode=1 $<TARGET_FILE:${target}>)
        cc_test(ctime/${name} unit 300 ${run})
        cc_test(ctime/${name}_finds_a_leak unit 300 ${run} leak)
        set_tests_properties(ctime/${name}_finds_a_leak PROPERTIES WILL_FAIL TRUE)
    endforeach()
endif()

# The lanes' machine code: what gcc made of it is read (tools/check-lane-object), and clang's MemorySanitizer runs it with the
# secrets poisoned. Each has its faulty twins, which have to be found. cc_lane_flags: cmake/Layers.cmake.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64" AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CC_TESTING AND NOT CC_FUZZ
        AND NOT CC_SANITIZE AND NOT CC_TEST_SET)
    set(check ${CMAKE_SOURCE_DIR}/tools/check-lane-object)
    cc_test(ctime/lane_object unit 60
        ${check} ${CMAKE_BINARY_DIR}/CMakeFiles/cc_crypto.dir/src/crypto/lane_ifma.c.o)
    foreach(leak 1 2 3)
        add_library(leak_lane_${leak} OBJECT ${CMAKE_SOURCE_DIR}/tests/ctime/leak_lane.c)
        target_link_libraries(leak_lane_${leak} PRIVATE cc_crypto)
        target_compile_options(leak_lane_${leak} PRIVATE ${cc_lane_flags})
        target_compile_definitions(leak_lane_${leak} PRIVATE RIG_LEAK=${leak})
        cc_test(ctime/lane_object_finds_leak_${leak} unit 60 ${check} $<TARGET_OBJECTS:leak_lane_${leak}>)
        set_tests_properties(ctime/lane_object_finds_leak_${leak} PROPERTIES WILL_FAIL TRUE)
    endforeach()
endif()
find_program(CLANG clang)
if(CLANG AND TARGET blst_objects AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64" AND CC_TESTING AND NOT CC_FUZZ
        AND NOT CC_SANITIZE AND NOT CC_TEST_SET)
    set(rig ${CMAKE_SOURCE_DIR}/tests/ctime/msan_lane.c)
    set(lane_isa ${cc_lane_flags})
    list(FILTER lane_isa INCLUDE REGEX "^-m")
    foreach(program msan_lane msan_lane_leak)
        add_custom_command(OUTPUT ${program} DEPENDS ${rig} cc_crypto cc_secret cc_base blst_objects
            DEPFILE ${CMAKE_BINARY_DIR}/${program}.d
            COMMAND ${CLANG} -fsanitize=memory -O1 -g -std=gnu17 -D_GNU_SOURCE -DCC_TESTING=1 -DCT_MEMORY_SANITIZER
                $<$<STREQUAL:${program},msan_lane_leak>:-DRIG_LEAK> ${lane_isa} -MD -MF ${program}.d -MT ${program}
                -I${CMAKE_SOURCE_DIR}/src -I${BLST_SOURCE_DIR}/bindings ${rig} -o ${program}
                -Wl,--start-group $<TARGET_FILE:cc_crypto> $<TARGET_FILE:cc_secret> $<TARGET_FILE:cc_base>
                $<TARGET_FILE:blst_objects> -Wl,--end-group -lcrypto -lsodium -lscrypt -lpthread
            COMMAND_EXPAND_LISTS VERBATIM)
        add_custom_target(run_${program} ALL DEPENDS ${program})
        cc_test(ctime/${program} unit 60 ${CMAKE_BINARY_DIR}/${program})
        set_tests_properties(ctime/${program} PROPERTIES SKIP_RETURN_CODE 77)
    endforeach()
    set_tests_properties(ctime/msan_lane_leak PROPERTIES WILL_FAIL TRUE)
endif()

find_program(PYTEST NAMES pytest-3 pytest PATHS /usr/bin NO_DEFAULT_PATH)
if(PYTEST AND NOT CC_FUZZ AND NOT CC_TEST_SET)
    foreach(source ${integration_tests})
        get_filename_component(name ${source} NAME_WE)
        # pytest bounds each test; the long forms of some take an hour.
        cc_test(integration/${name} integration 3600
            ${CMAKE_COMMAND} -E env CC_RELEASE_BINARY=${CC_RELEASE_BINARY}
            ${PYTEST} -q -rs -p no:cacheprovider --timeout=300 ${source})
    endforeach()
endif()

# Every mutant of slashing protection must be killed by its tests; they are compiled apart from this build.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND TARGET PkgConfig::CMOCKA AND NOT CC_FUZZ AND NOT CC_SANITIZE AND NOT CC_TEST_SET)
    cc_test(torture/slash_mutants torture 600
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/mutants.py --cc ${CMAKE_C_COMPILER})
    cc_test(torture/sql_mutants torture 900
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/mutants.py --sql --cc ${CMAKE_C_COMPILER})
endif()
