# One interface target, cc_flags, that every target of ours links: language, warnings, hardening,
# sanitizers. The split into common / gcc / clang follows what gcc 12 and clang 14 accept.

add_library(cc_flags INTERFACE)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

set(cc_warnings
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2
    -Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wmissing-declarations
    -Wredundant-decls -Wnested-externs -Wwrite-strings -Wcast-qual -Wpointer-arith -Wundef -Wvla
    -Walloca -Wimplicit-fallthrough -Wswitch-enum -Wnull-dereference -Wdouble-promotion
    -Wunused-macros -Wdate-time)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND cc_warnings
        -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wrestrict -Wformat-signedness
        -Warith-conversion -Wcast-align=strict -Wtrampolines -Wstringop-overflow=4
        -Wbidi-chars=any)
else()
    list(APPEND cc_warnings
        -Wcomma -Wassign-enum -Wimplicit-int-conversion -Wshorten-64-to-32 -Wthread-safety
        -Wno-gnu-statement-expression -Wno-gnu-zero-variadic-macro-arguments)
endif()
if(CC_WERROR)
    list(APPEND cc_warnings -Werror)
endif()

target_compile_definitions(cc_flags INTERFACE _GNU_SOURCE)
# Nothing of where it was built is in a release, debug information included (tools/reproduce). Test builds keep their paths there, by
# which debuggers and the sanitizers' reports find the source.
if(CC_TESTING)
    set(cc_prefix_map -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
else()
    set(cc_prefix_map -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
endif()
target_compile_options(cc_flags INTERFACE ${cc_warnings} -fno-common -fvisibility=hidden ${cc_prefix_map})
target_include_directories(cc_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(CC_TESTING)
    target_compile_definitions(cc_flags INTERFACE CC_TESTING=1)
endif()

if(CC_SANITIZE)
    target_compile_options(cc_flags INTERFACE
        -fsanitize=${CC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -gline-tables-only)
    target_link_options(cc_flags INTERFACE -fsanitize=${CC_SANITIZE})
elseif(NOT CC_FUZZ)
    target_compile_definitions(cc_flags INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=3>)
endif()
target_compile_options(cc_flags INTERFACE -fstack-protector-strong -fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
    target_compile_options(cc_flags INTERFACE -fcf-protection=full)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(cc_flags INTERFACE
        -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr)
endif()
if(NOT CC_FUZZ)
    target_link_options(cc_flags INTERFACE
        -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--as-needed)
endif()
if(CC_FUZZ)
    target_compile_options(cc_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
