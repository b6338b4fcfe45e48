// Settings for the length of a call.
#pragma once

#include <initializer_list>

#include "postgres/prelude.hpp"

namespace rls_tenant {

struct SettingValue {
  const char *name;
  const char *value;
};

// Runs fn while these settings have these values, in parallel mode, too. An error restores them by itself.
template <typename Fn>
void with_settings(std::initializer_list<SettingValue> settings, Fn fn) {
  static_assert(jump_safe<Fn>);
  const int level = NewGUCNestLevel();
  for (const SettingValue &setting : settings) {
    set_config_option(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  }
  fn();
  AtEOXact_GUC(true, level);
}

}  // namespace rls_tenant
