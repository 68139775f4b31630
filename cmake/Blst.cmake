# Target cc_blst: the BLS12-381 library. In this order: an installed libblst, -DBLST_SOURCE_DIR=,
# the source inside the npm package pinned by third_party/blst/package-lock.json.
# __BLST_PORTABLE__ chooses the ADX code at run time, so one binary runs on every x86-64.

add_library(cc_blst INTERFACE)
find_package(PkgConfig REQUIRED)
if(NOT BLST_SOURCE_DIR)
    pkg_check_modules(LIBBLST QUIET IMPORTED_TARGET libblst)
endif()

if(TARGET PkgConfig::LIBBLST)
    target_link_libraries(cc_blst INTERFACE PkgConfig::LIBBLST)
else()
    if(NOT BLST_SOURCE_DIR)
        set(blst_pin ${CMAKE_SOURCE_DIR}/third_party/blst)
        set(BLST_SOURCE_DIR ${blst_pin}/node_modules/c-kzg/deps/blst)
        if(NOT EXISTS ${BLST_SOURCE_DIR}/src/server.c)
            message(STATUS "Fetching the pinned blst source with npm ci")
            execute_process(COMMAND npm ci --ignore-scripts --no-audit --no-fund
                WORKING_DIRECTORY ${blst_pin} COMMAND_ERROR_IS_FATAL ANY)
        endif()
    endif()
    enable_language(ASM)
    add_library(blst_objects STATIC
        ${BLST_SOURCE_DIR}/src/server.c ${BLST_SOURCE_DIR}/build/assembly.S)
    target_compile_options(blst_objects PRIVATE -O2 -fno-builtin -fPIC -w
        ${cc_prefix_map} -ffile-prefix-map=${BLST_SOURCE_DIR}=blst)
    target_compile_definitions(blst_objects PRIVATE __BLST_PORTABLE__)
    target_include_directories(cc_blst SYSTEM INTERFACE ${BLST_SOURCE_DIR}/bindings)
    target_link_libraries(cc_blst INTERFACE blst_objects)
endif()
