# Tests are found by name: tests/unit/<folder>/test_<file>.c and tests/conformance/test_*.c are
# cmocka programs linked with everything; tests/fuzz/fuzz_<parser>.c are libFuzzer targets, run over
# their corpus in every build and as fuzzers with -DCC_FUZZ=ON; tests/integration/ is pytest.
# Labels carry the time budgets of docs/testing.md.
#
# CC_TEST_SET: "" all, under their own labels; "asan" the C tests and the corpus, "tsan" the tests of
# what has threads - both with the set's name before the test's name and as its label, so that
# several builds can be run as one CTest tree (tools/join-tests).
#
# CC_FULL (`make full`): what takes long is there too, cc_full below and what asks for the variable CC_FULL (docs/testing.md).

set(CC_TEST_SET "" CACHE STRING "Which tests this build registers: empty, asan or tsan")
option(CC_FULL "Build and register the long tests too" OFF)
set(CC_RELEASE_BINARY "" CACHE FILEPATH "A release binary, for the integration tests that want one")
# The tests of who may ask bear the label auth too.
set(cc_auth "^(unit/(auth/|core/test_(audit|authority|core_access|core_alarms|keeper|key_audit|key_book|keys|manage|manage_adversary|manage_owner_key|registry_keys|seal|vault_batch|vault_question)$|front/test_(authorization|caller|http_manage|keys_body|keys_work|proxy|tls|tls_clients)$|base/test_cidr$|vault/test_rows$|wire/test_tls_files$)|torture/access_mutants$|fuzz/(audit|authorization|key_records|key_routes|known_clients|manager|policy|proxy|tls_files|token|token_request)$|conformance/test_key_store$|integration/test_(auth_|audit|chamber_keys|key_|seal|tls))")
# And those of the sealed chamber seal.
set(cc_seal
    "^(unit/(crypto/test_(age|eip2333)|vault/test_generate|core/test_key_generate|front/test_keys_(body|work)|eth/test_deposit)|fuzz/(age_recipient|key_routes)|integration/test_key_generate)$"
    "^ctime/shamir|^unit/(crypto/test_(shamir|committing)|vault/test_(set_(make|text)|ceremony[a-z_]*|rows|captured_(core|images|sets)|no_memory))$"
    "^(unit/(seal/|aws/test_kms|config/test_kms_arn$)|fuzz/(seal_|kms_)|spin/|integration/test_iam$)"
    "^(unit/core/test_(ceremony|seal_body|setup_token)|integration/test_ceremony|fuzz/seal_body)"
    "^(unit/core/test_(seal|registry_keys)|unit/vault/test_key_table|integration/test_(latch|seal)($|_))"
    "^unit/(cli/test_operator|crypto/test_sealed_box)|^integration/test_(operator_|runbook_ceremony)|^fuzz/operator$"
    "^(unit/(keys/test_dynamodb_rows|core/test_key_book)|conformance/test_key_(store|book_shared)|fuzz/key_(rows|records)|integration/test_key_(stores|move)|torture/key_mutants)$")
# And those of attestation and of the enclave enclave.
set(cc_enclave
    "^(unit/(attest/|codec/test_cbor$|crypto/test_(certificate|attested_leaf$)|front/test_atls$|(core/test_(attestation|enclave_root|enclave_secrets|enclave_time|own_image)|app/test_sandbox)$|cli/test_attest)|fuzz/(cbor|attest|nsm)|integration/test_(attest|auto_unseal|enclave))"
    "^(unit/(net/|base/test_endpoint$|config/test_egress$|front/test_proxy_gate$)|fuzz/(endpoint|egress|metrics_page|proxy_plan)$|integration/test_egress$)"
    "^(unit/(aws/test_kms_envelope|vault/test_(documents|release|root|sealed_shares))|fuzz/(kms_envelope|door_documents))$"
    "^(unit/enclave/|fuzz/enclave_)")
# And those of what operators and newcomers meet: migration, metrics, deployment.
set(cc_run
    "^(unit/(base/test_metric|core/test_(rehearsal|status_page))$|integration/test_(alerts|alerts_scraped|metrics|status_page|status_browser)$)"
    "^(unit/cli/test_complete|integration/test_(completion|deploy|package|container|helm|terraform))$"
    "^(unit/(cli/test_(web3signer|key_source|doctor)|keys/test_eip2335_make)$|fuzz/(web3signer|key_source)$|integration/test_(web3signer|migrate|key_sources|doctor|help|docs|progress|supply_chain)$)"
    "^(unit/(trace/|codec/test_traceparent$|config/test_otlp_url$|core/test_tracing$)|fuzz/traceparent$|integration/test_tracing$)"
    "^(unit/(app/test_handed|front/test_readiness)$|fuzz/backup$|integration/test_(upgrade|backup|schema|way_back)$)"
    "^(unit/cli/test_(foreign_text|json_object|signer_client)|integration/test_(demo|examples|hand_over|newcomer|openapi|release_binary|runbook|runbook_ceremony|slashing_huge))$")
# What has threads runs under TSan: all that may (CC_FULL), or those programs alone in which they meet.
set(cc_threaded
    "^unit/(wire/test_door|vault/test_(threads|vault|key_table)|trace/test_exporter|app/test_logpipe|aws/test_(session|inputs)|keys/test_load)$"
    "^unit/core/test_(backlog|ceremony_threads|core_access|enclave_secrets|keeper|key_book|manage|seal|vault_(batch|question|window)|waiting)$"
    "^unit/front/test_(exchange|keys_work|loops|suspended|tls)$")
if(CC_FULL)
    set(cc_threaded "^unit/((wire|vault|core|front|keys|app|net|trace)/|aws/test_(session|inputs))")
endif()
# Long under TSan, and of one thread.
set(cc_alone "^unit/vault/test_captured_core$")

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
set(cc_full_env "")
if(CC_FULL)
    set(cc_full_env "CC_FULL=1")
endif()
set(cc_sanitizer_env "ASAN_OPTIONS=detect_leaks=1:abort_on_error=1;UBSAN_OPTIONS=print_stacktrace=1")

# Most tests wait more than they compute: for a disk, an interval, another process. So CTest has two places a processor (Makefile),
# of which a test takes one; those that compute with both processors take two, and those that hold a time against a bound three,
# so that no more than one other runs beside them. They begin first, then what is long (seconds), so that no long one is left alone
# at the end.
set(cc_computing "^(torture/([a-z]+_mutants|history)|spin/chamber)$")
set(cc_timed "^integration/test_(bench|memory_use|overload|startup|[a-z_]+_timed)$")
# Of these files only some tests hold a time against a bound: they are marked so (pytest.mark.timed), and are a test of CTest's own.
set(cc_partly_timed test_auth_clients test_ceremony test_kill test_supervisor)
set(cc_long
    torture/sql_mutants 170 torture/history 140 integration/test_ceremony_faults 130 integration/test_key_stores 120 torture/access_mutants 95 spin/chamber 90
    integration/test_postgres 85 integration/test_history_guard 80 torture/slash_mutants 75 integration/test_ceremony_shared 70
    integration/test_key_move 70 integration/test_replicas 70 integration/test_runbook_ceremony 60 integration/test_key_manager 55
    integration/test_enclave_root 80 integration/test_auto_unseal 60 integration/test_enclave_owner 50 integration/test_enclave_kms 45 integration/test_latch_kms 40 integration/test_enclave_start 35 integration/test_tls 35 integration/test_iam 30 integration/test_operator_cli 30 integration/test_package 30 torture/key_mutants 30 torture/broken 25)
set(cc_cost_of_timed 1000)

# What only `make full` builds and runs: under ASan the programs whose time goes to waiting, to many lives of a room or to an emulator,
# where shorter ones go through the same files; and what takes faults, stores and networks through each other.
set(cc_full
    "^asan/(conformance/.*|unit/core/test_(attestation|audit|ceremony|ceremony_front|core|core_(adversary|alarms|ceiling|start|torture)|key_audit|key_book|key_generate|keys)|unit/vault/test_(captured_(core|sets)|documents|generate|root|rows|vault))$"
    "^integration/test_(ceremony_(access|faults|replicas|shared)|enclave_(account|database|owner)|iam|key_move|latch_kms|operator_yubikey|seal_memory_kms|slashing_huge)$"
    "^torture/(access_mutants|broken|dynamodb_mutants|key_mutants|sql_mutants)$")
# What the short form runs without a sanitizer although it does so with ASan: what a sanitizer build leaves out a part of, or is about
# optimised code.
set(cc_twice "^unit/(crypto|secret|slash)/|^unit/(app/test_sandbox|attest/test_(document|verify)|base/test_alloc|codec/test_json|eth/test_request_json|front/test_authorization)$")

# cc_matches(TEXT VAR PATTERN...): whether one of the patterns does.
function(cc_matches TEXT VAR)
    set(${VAR} FALSE)
    foreach(pattern ${ARGN})
        if(TEXT MATCHES "${pattern}")
            set(${VAR} TRUE)
        endif()
    endforeach()
    return(PROPAGATE ${VAR})
endfunction()

# cc_left_out(NAME VAR): whether this build has not the test of that name.
function(cc_left_out NAME VAR)
    set(${VAR} FALSE)
    cc_matches("asan/${NAME}" long_with_asan ${cc_full})
    if(CC_TEST_SET STREQUAL "tsan")
        cc_matches(${NAME} threaded ${cc_threaded})
        if(NOT threaded OR NAME MATCHES "${cc_alone}")
            set(${VAR} TRUE)
        endif()
    elseif(CC_FULL)
    elseif(CC_TEST_SET STREQUAL "asan")
        set(${VAR} ${long_with_asan})
    elseif(NAME MATCHES "^unit/")
        if(NOT long_with_asan AND NOT NAME MATCHES "${cc_twice}")
            set(${VAR} TRUE)
        endif()
    else()
        cc_matches(${NAME} ${VAR} ${cc_full})
    endif()
    return(PROPAGATE ${VAR})
endfunction()

# cc_test(NAME LABEL TIMEOUT COMMAND...): registers one test under the set's name and label. One that can't run here (it
# wants moto, say) tells why and returns 77: CTest lists it as not run.
function(cc_test NAME LABEL TIMEOUT)
    cc_left_out(${NAME} left_out)
    if(left_out)
        return()
    endif()
    set(label ${LABEL})
    if(CC_TEST_SET)
        set(label ${CC_TEST_SET})
    endif()
    foreach(subject auth seal enclave run)
        cc_matches(${NAME} is_about_it ${cc_${subject}})
        if(is_about_it)
            list(APPEND label ${subject})
        endif()
    endforeach()
    if(CC_TEST_SET)
        set(NAME ${CC_TEST_SET}/${NAME})
    endif()
    set(places 1)
    set(cost 0)
    list(FIND cc_long ${NAME} at)
    if(NOT at EQUAL -1)
        math(EXPR at "${at} + 1")
        list(GET cc_long ${at} cost)
    endif()
    if(NAME MATCHES "${cc_computing}")
        set(places 2)
    elseif(NAME MATCHES "${cc_timed}")
        set(places 3)
        set(cost ${cc_cost_of_timed})
    endif()
    add_test(NAME ${NAME} COMMAND ${ARGN})
    set_tests_properties(${NAME} PROPERTIES PROCESSORS ${places} COST ${cost})
    set_tests_properties(${NAME} PROPERTIES LABELS "${label}" TIMEOUT ${TIMEOUT} SKIP_RETURN_CODE 77 ENVIRONMENT
        "CC_VECTORS=${CC_VECTORS_DEFAULT};CC_BUILD_DIR=${CMAKE_BINARY_DIR};${cc_sanitizer_env};${cc_full_env}")
endfunction()

if(NOT CC_TESTING)
    list(FILTER support EXCLUDE REGEX "/core_room\\.c$") # it arms test points, which builds without switches haven't
endif()
if(TARGET PkgConfig::CMOCKA AND TARGET PkgConfig::CJSON AND NOT CC_FUZZ)
    add_library(cc_test_support STATIC ${support})
    target_link_libraries(cc_test_support PUBLIC cc_cli PkgConfig::CMOCKA PkgConfig::CJSON)
    target_include_directories(cc_test_support PUBLIC ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(cc_test_support PRIVATE CC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    foreach(kind unit conformance)
        foreach(source ${${kind}_tests})
            file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/tests ${source})
            string(REGEX REPLACE "\\.c$" "" name ${name})
            cc_left_out(${name} left_out)
            if(left_out)
                continue()
            endif()
            string(REPLACE "/" "_" target ${name})
            add_executable(${target} ${source})
            target_link_libraries(${target} PRIVATE cc_test_support)
            # What is tested is optimised, the test itself need not be: a third of its compile time.
            set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-O0;-U_FORTIFY_SOURCE")
            cc_test(${name} ${kind} 900 ${target})
        endforeach()
    endforeach()
    # Its rates are of a clock that the test turns, not of how busy the machine is.
    if(TARGET unit_core_test_backlog)
        target_link_options(unit_core_test_backlog PRIVATE -Wl,--wrap=clock_mono_ns)
    endif()
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
    endforeach()
    set_tests_properties(ctime/msan_lane_leak PROPERTIES WILL_FAIL TRUE)
endif()

find_program(PYTEST NAMES pytest-3 pytest PATHS /usr/bin NO_DEFAULT_PATH)
if(PYTEST AND NOT CC_FUZZ AND NOT CC_TEST_SET)
    foreach(source ${integration_tests})
        get_filename_component(name ${source} NAME_WE)
        # pytest bounds each test; the long forms of some take an hour.
        set(run ${CMAKE_COMMAND} -E env CC_RELEASE_BINARY=${CC_RELEASE_BINARY} ${PYTEST} -q -rs -p no:cacheprovider --timeout=600 ${source})
        if(name IN_LIST cc_partly_timed)
            cc_test(integration/${name}_timed integration 3600 ${run} -m timed)
            list(APPEND run -m "not timed")
        endif()
        cc_test(integration/${name} integration 3600 ${run})
    endforeach()
endif()

# Every mutant of slashing protection must be killed by its tests; they are compiled apart from this build.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND TARGET PkgConfig::CMOCKA AND NOT CC_FUZZ AND NOT CC_SANITIZE AND NOT CC_TEST_SET)
    cc_test(torture/slash_mutants torture 600
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/mutants.py --cc ${CMAKE_C_COMPILER})
    cc_test(torture/dynamodb_mutants torture 600
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/mutants.py --dynamodb --cc ${CMAKE_C_COMPILER})
    cc_test(torture/access_mutants torture 600
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/mutants.py --access --cc ${CMAKE_C_COMPILER})
    cc_test(torture/key_mutants torture 600
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/mutants.py --keys --cc ${CMAKE_C_COMPILER})
    cc_test(torture/sql_mutants torture 900
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/mutants.py --sql --cc ${CMAKE_C_COMPILER})
endif()

# Every run of the sealed chamber's model, and its mutants (tests/spin).
if(Python3_FOUND AND NOT CC_FUZZ AND NOT CC_SANITIZE AND NOT CC_TEST_SET)
    cc_test(spin/chamber torture 900
        ${CMAKE_COMMAND} -E env CC=${CMAKE_C_COMPILER} ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/spin/check.py)
endif()

# The history checker (C6): its own tests, and a short run against real signers; `make torture` is the long one.
if(PYTEST AND Python3_FOUND AND CC_TESTING AND NOT CC_FUZZ AND NOT CC_SANITIZE AND NOT CC_TEST_SET)
    # The program as it is, on a disk and by a clock that fail.
    add_executable(containment-chamber-torture src/app/main.c tests/torture/faults.c)
    target_link_libraries(containment-chamber-torture PRIVATE cc_cli cc_app ${CMAKE_DL_LIBS})
    add_executable(torture-verify tests/torture/verify.c)
    target_link_libraries(torture-verify PRIVATE cc_blst cc_flags)
    cc_left_out(torture/broken left_out)
    if(NOT left_out)
        # The same with one wrong change each (broken.py), which a run must find.
        set(broken ${CMAKE_SOURCE_DIR}/tests/torture/broken.py)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${broken})
        execute_process(COMMAND ${Python3_EXECUTABLE} ${broken} --names OUTPUT_VARIABLE rows COMMAND_ERROR_IS_FATAL ANY)
        file(GLOB tables ${CMAKE_SOURCE_DIR}/src/*/*_statement.def)
        foreach(row ${rows})
            string(REGEX MATCH "^([a-z_]+):(.*)$" row "${row}")
            set(name ${CMAKE_MATCH_1})
            set(folder ${CMAKE_BINARY_DIR}/broken/${name})
            string(REPLACE "," ";" files "${CMAKE_MATCH_2}")
            list(TRANSFORM files PREPEND ${folder}/ OUTPUT_VARIABLE changed)
            list(TRANSFORM files PREPEND ${CMAKE_SOURCE_DIR}/src/)
            add_custom_command(OUTPUT ${changed} DEPENDS ${broken} ${files} ${tables}
                COMMAND ${Python3_EXECUTABLE} ${broken} --write ${name} ${folder})
            add_executable(broken-${name} src/app/main.c tests/torture/faults.c ${changed})
            target_include_directories(broken-${name} BEFORE PRIVATE ${folder})
            set_source_files_properties(${changed} PROPERTIES COMPILE_OPTIONS -w)
            target_link_libraries(broken-${name} PRIVATE cc_cli cc_app ${CMAKE_DL_LIBS})
        endforeach()
    endif()
    cc_test(torture/broken torture 400 ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/broken.py)
    foreach(name checker mutants)
        cc_test(torture/${name} torture 60 ${PYTEST} -q -p no:cacheprovider ${CMAKE_SOURCE_DIR}/tests/torture/test_${name}.py)
    endforeach()
    cc_test(torture/history torture 300
        ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/torture/torture.py --seconds 28
        --systems sqlite,two-signers,fail-over,shared,table)
endif()
