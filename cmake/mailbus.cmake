# Compiler flags of every target, in one place, and the two functions that the folders use.
option(MAILBUS_WERROR "Warnings are errors" OFF)
option(MAILBUS_COVERAGE "Count executed lines with gcov" OFF)
set(MAILBUS_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")

add_compile_definitions(_GNU_SOURCE MAILBUS_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wstrict-prototypes
                    -Wmissing-prototypes -Wvla -Wundef -fvisibility=hidden)
if(MAILBUS_WERROR)
  add_compile_options(-Werror)
endif()
if(MAILBUS_SANITIZE)
  add_compile_options(-fsanitize=${MAILBUS_SANITIZE} -fno-omit-frame-pointer -O1)
  add_link_options(-fsanitize=${MAILBUS_SANITIZE})
  if(MAILBUS_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(MAILBUS_COVERAGE)
  add_compile_options(--coverage -O0)
  add_link_options(--coverage)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # Release keeps assertions: they guard our own bugs, and cost next to nothing.
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection
                      -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
  set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_EXE_LINKER_FLAGS} -pie")
endif()

if(BUILD_TESTING)
  # Named points at which a test can end a program as kill -9 would (common/test_point.h).
  add_compile_definitions(MAILBUS_TEST_POINTS)
endif()

# mailbus_program(NAME SOURCES… LIBS…): an installed program.
function(mailbus_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# mailbus_unit_test(NAME SOURCES… LIBS…): a cmocka program, run by ctest.
function(mailbus_unit_test name)
  if(NOT BUILD_TESTING)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} PkgConfig::CMOCKA)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
endfunction()
