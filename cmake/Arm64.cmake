# Toolchain: gcc for arm64 over the packages that tools/arm64-sysroot unpacked; what is built runs here under qemu-user.
# -DCC_SYSROOT=FOLDER, or build-arm64/sysroot of the source tree.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CC_SYSROOT)
if(NOT CC_SYSROOT)
    get_filename_component(CC_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build-arm64/sysroot ABSOLUTE)
endif()
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_SYSROOT ${CC_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH ${CC_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# The .pc files of the sysroot, and no others.
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CC_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${CC_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CC_SYSROOT}/usr/share/pkgconfig)
# As qemu-user finds the loader and the libraries; also what CTest and custom commands run programs by.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${CC_SYSROOT})
