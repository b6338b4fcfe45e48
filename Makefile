# rls_tenant: built with PGXS. make; make install; make installcheck [PG_CONFIG=/path/to/pg_config]

# With VPATH = another directory it is built outside its source, as PGXS has it.
srcdir := $(or $(VPATH),.)

# The second is SQL alone: tests for pgTAP, without which it can be installed, and not created.
EXTENSION = rls_tenant rls_tenant_tap
# (VERSION is PGXS's own: that of PostgreSQL.)
EXTENSION_VERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(srcdir)/rls_tenant.control)
MODULE_big = rls_tenant
OBJS = $(patsubst $(srcdir)/%.cpp,%.o,$(sort $(wildcard $(srcdir)/src/*.cpp $(srcdir)/src/*/*.cpp)))

# The install scripts are put together from sql/rls_tenant and sql/rls_tenant_tap, in this order: what a file needs comes
# before it. (In folders of their own, since pg_regress would take sql/context.sql for a test.)
SQL_MODULES = context membership protect guard columns explain audit_helpers audit_reach audit_relations \
	audit_policies audit_surroundings audit_roles audit_speed audit audit_json audit_html roles \
	all_tenants
TAP_MODULES = context attempts isolation checks
DATA_built = rls_tenant--$(EXTENSION_VERSION).sql rls_tenant_tap--$(EXTENSION_VERSION).sql
DATA = $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/sql/updates/*.sql))

REGRESS = $(sort $(patsubst $(srcdir)/test/sql/%.sql,%,$(wildcard $(srcdir)/test/sql/*.sql)))
REGRESS_OPTS = --inputdir=$(srcdir)/test --load-extension=rls_tenant
ISOLATION = $(sort $(patsubst $(srcdir)/test/specs/%.spec,%,$(wildcard $(srcdir)/test/specs/*.spec)))
# PostgreSQL 15 looks for expected/ below the output directory.
ISOLATION_OPTS = --inputdir=$(srcdir)/test --outputdir=. --load-extension=rls_tenant
EXTRA_CLEAN = results output_iso regression.diffs regression.out

# No exception and no destructor runs inside a backend, so nothing of the C++ runtime is linked: the C compiler links.
# PostgreSQL's headers before 16 say "register", which C++17 does not know.
# The last line is for clang, which does not know every flag and attribute that g++ built PostgreSQL with.
WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-register \
	-Wno-unknown-warning-option -Wno-unused-command-line-argument -Wno-ignored-attributes
PG_CPPFLAGS = -I$(srcdir)/src
PG_CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility=hidden \
	-fvisibility-inlines-hidden $(WARNINGS) -Werror -DRLS_TENANT_VERSION='"$(EXTENSION_VERSION)"'

# No bitcode for JIT to inline: inlined code could not reach what -fvisibility=hidden hides. So no clang is needed either.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(shell mkdir -p $(sort $(dir $(OBJS))))
$(OBJS): $(wildcard $(srcdir)/src/*/*.hpp) $(srcdir)/rls_tenant.control $(srcdir)/Makefile

# A script refuses to be run by psql.
define concatenate
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(1)" to load this file. \quit'; \
	  for module in $(2); do echo; cat $(srcdir)/sql/$(1)/$$module.sql || exit 1; done; } >$@.new && mv $@.new $@
endef

rls_tenant--$(EXTENSION_VERSION).sql: $(SQL_MODULES:%=$(srcdir)/sql/rls_tenant/%.sql) $(srcdir)/Makefile
	$(call concatenate,rls_tenant,$(SQL_MODULES))

rls_tenant_tap--$(EXTENSION_VERSION).sql: $(TAP_MODULES:%=$(srcdir)/sql/rls_tenant_tap/%.sql) $(srcdir)/Makefile
	$(call concatenate,rls_tenant_tap,$(TAP_MODULES))
