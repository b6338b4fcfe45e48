// A read is a function's if the stack of error contexts has grown since the watch began: each procedural language, SQL
// and SPI put their own there before they run anything. While somebody has to be told, no read is a fast one.

#include "context/read_watch.hpp"

namespace rls_tenant {

ReadWatch *read_watch = nullptr;

bool note_read(Setting setting) {
  bool all_know = true;
  for (ReadWatch *watch = read_watch; watch != nullptr; watch = watch->outer) {
    if (error_context_stack != watch->stack) watch->read |= setting_bit(setting);
    all_know &= (watch->read & setting_bit(setting)) != 0;
  }
  return all_know;
}

const ContextValue *read_for_marked_plan(Setting setting) {
  ReadWatch *const innermost = read_watch;
  if (innermost == nullptr) return read_context(setting);
  read_watch = innermost->outer;  // an error ends the watch
  const ContextValue *value = read_context(setting);
  read_watch = innermost;
  make_context_unready();
  return value;
}

}  // namespace rls_tenant
