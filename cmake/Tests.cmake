# Tests are found by name: tests/unit/<folder>/test_<file>.c and tests/conformance/test_*.c are
# cmocka programs linked with everything; tests/fuzz/fuzz_<parser>.c are libFuzzer targets, run over
# their corpus in every build and as fuzzers with -DCC_FUZZ=ON; tests/integration/ is pytest.
# Labels carry the time budgets of docs/testing.md.

pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
file(GLOB unit_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/*/test_*.c)
file(GLOB conformance_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/conformance/test_*.c)
file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
file(GLOB support CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.c)

set(CC_VECTORS_DEFAULT ${CMAKE_SOURCE_DIR}/../shared/vectors)
if(DEFINED ENV{CC_VECTORS})
    set(CC_VECTORS_DEFAULT $ENV{CC_VECTORS})
endif()

if(TARGET PkgConfig::CMOCKA AND NOT CC_FUZZ)
    if(support)
        add_library(cc_test_support STATIC ${support})
        target_link_libraries(cc_test_support PUBLIC cc_cli PkgConfig::CMOCKA)
        target_include_directories(cc_test_support PUBLIC ${CMAKE_SOURCE_DIR}/tests)
    else()
        add_library(cc_test_support INTERFACE)
        target_link_libraries(cc_test_support INTERFACE cc_cli PkgConfig::CMOCKA)
        target_include_directories(cc_test_support INTERFACE ${CMAKE_SOURCE_DIR}/tests)
    endif()
    foreach(kind unit conformance)
        foreach(source ${${kind}_tests})
            file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/tests ${source})
            string(REGEX REPLACE "\\.c$" "" name ${name})
            string(REPLACE "/" "_" target ${name})
            add_executable(${target} ${source})
            target_link_libraries(${target} PRIVATE cc_test_support)
            add_test(NAME ${name} COMMAND ${target})
            set_tests_properties(${name} PROPERTIES LABELS ${kind} TIMEOUT 300
                ENVIRONMENT "CC_VECTORS=${CC_VECTORS_DEFAULT}")
        endforeach()
    endforeach()
endif()

foreach(source ${fuzzers})
    get_filename_component(target ${source} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" parser ${target})
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${parser})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE cc_cli)
    target_compile_options(${target} PRIVATE -Wno-missing-prototypes -Wno-missing-declarations)
    if(CC_FUZZ)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.c)
        add_test(NAME fuzz/${parser} COMMAND ${target} ${corpus})
        set_tests_properties(fuzz/${parser} PROPERTIES LABELS fuzz TIMEOUT 120)
    endif()
endforeach()

find_program(PYTEST NAMES pytest-3 pytest PATHS /usr/bin NO_DEFAULT_PATH)
file(GLOB integration_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/integration/test_*.py)
if(PYTEST AND NOT CC_FUZZ)
    foreach(source ${integration_tests})
        get_filename_component(name ${source} NAME_WE)
        add_test(NAME integration/${name}
            COMMAND ${PYTEST} -q -x --timeout=240 ${source}
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests/integration)
        set_tests_properties(integration/${name} PROPERTIES LABELS integration TIMEOUT 600
            ENVIRONMENT "CC_BUILD_DIR=${CMAKE_BINARY_DIR};CC_VECTORS=${CC_VECTORS_DEFAULT}")
    endforeach()
endif()
