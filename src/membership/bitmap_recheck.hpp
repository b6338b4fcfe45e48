// Bitmap scans that check memberships once for each row.
#pragma once

#include "postgres/prelude.hpp"

namespace rls_tenant {

// Takes from a finished plan what a bitmap scan would check of each row after its index has done so.
void recheck_bitmap_scans(PlannedStmt *plan);

}  // namespace rls_tenant
