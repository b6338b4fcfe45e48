/*
 * fail_allocation.c: makes one allocation of a session fail, the Nth that its next statements ask for, as if memory had
 * run out. A module of PostgreSQL for test/hard.d/allocations.py, never a part of the extension.
 *
 * PostgreSQL takes memory from malloc() in blocks of many pieces, so that a failing malloc() would meet one piece of a
 * hundred. Each piece comes through a table of methods that its memory context points to, instead: this module puts its
 * own functions into the tables, in this process alone. For what is not in a memory context (the settings' memory before
 * PostgreSQL 16, and new contexts) it puts itself between the server, the extension and malloc(), in the table
 * through which a loaded program finds its functions. So no program has to be changed or preloaded.
 *
 * Kinds of allocations: "ours" are pieces that rls_tenant asks for, or PostgreSQL for a call of rls_tenant's (read from frame
 * pointers, with which test/hard.d/build.sh builds), "any" all pieces, "malloc" what is asked of malloc().
 * Left out are those that PostgreSQL says may not fail: in critical sections, for an error's own text, and, but for the
 * extension's, at the end of a transaction (out of memory after the commit record is a PANIC, with and without us).
 */
#define _GNU_SOURCE
#include "postgres.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 170000
#include "utils/memutils_internal.h"
#endif

PG_MODULE_MAGIC;

void _PG_init(void);

extern void *__libc_stack_end; /* the dynamic linker's: where the stack begins */

typedef enum Kind { NONE, OURS, ANY, MALLOC } Kind;

static Kind next_kind = NONE; /* for the statements that follow */
static Kind kind = NONE;
static int wanted, seen;
static bool fired;
static uintptr_t place; /* the innermost caller within rls_tenant, counted from its beginning */
static uintptr_t library_start, library_end, library_base;

static post_parse_analyze_hook_type previous_analyze = NULL;

/* Finds where rls_tenant lies in memory. */
static int note_library(struct dl_phdr_info *info, size_t size, void *unused) {
  const char *name = strrchr(info->dlpi_name, '/');

  if (name == NULL || strcmp(name, "/rls_tenant.so") != 0) return 0;
  library_base = info->dlpi_addr;
  library_start = UINTPTR_MAX;
  library_end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0) continue;
    library_start = Min(library_start, library_base + part->p_vaddr);
    library_end = Max(library_end, library_base + part->p_vaddr + part->p_memsz);
  }
  return 1;
}

/*
 * Functions of PostgreSQL that say whose an allocation is, when they are met on the way from it to its callers before any of
 * ours is. What they do themselves is PostgreSQL's own work, although our hooks are further out. Some of them do not
 * survive a failing allocation of their own, with us and without, and are spared:
 * LockAcquireExtended(): where a savepoint catches the error, the next use of that lock crashes (lockOwners is NULL).
 * load_external_function(): PL/pgSQL's _PG_init() can run once only in a session, also where it has failed.
 * pgstat_prep_pending_entry(), RelationGetPartitionQual(), get_partition_qual_relid(): leave half an entry, and the next use of
 * the relation fails an assertion.
 * GetSessionDsmHandle(): leaves half a session segment, and the next parallel query or record type crashes.
 */
static struct {
  const char *name;
  bool spared;
  uintptr_t start, end;
} known[] = {{"standard_planner", false},
             {"standard_ExecutorStart", false},
             {"standard_ExecutorRun", false},
             {"standard_ExecutorFinish", false},
             {"standard_ExecutorEnd", false},
             {"standard_ProcessUtility", false},
             {"LockAcquireExtended", true},
             {"load_external_function", true},
             {"pgstat_prep_pending_entry", true},
             {"RelationGetPartitionQual", true},
             {"get_partition_qual_relid", true},
             {"GetSessionDsmHandle", true}};

static void find_known(void) {
  for (int i = 0; i < lengthof(known); i++) {
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    void *function = dlsym(RTLD_DEFAULT, known[i].name);
    if (function == NULL || dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 || symbol == NULL) {
      elog(FATAL, "there is no function %s", known[i].name);
    }
    known[i].start = (uintptr_t)function;
    known[i].end = known[i].start + symbol->st_size;
  }
}

/* Whose an allocation is. */
typedef struct Owner {
  uintptr_t place; /* for ours: the caller within rls_tenant, counted from the library's beginning; else 0 */
  bool spared;
} Owner;

static Owner owner_of_allocation(void) {
  void **frame = __builtin_frame_address(0);
  Owner owner = {0, false};

  if (library_end == 0) dl_iterate_phdr(note_library, NULL); /* it may be loaded at any time */
  while ((void *)frame < __libc_stack_end) {
    void **above = (void **)frame[0];
    uintptr_t caller = (uintptr_t)frame[1];
    if (caller >= library_start && caller < library_end) {
      owner.place = caller - library_base;
      return owner;
    }
    for (int i = 0; i < lengthof(known); i++) {
      if (caller < known[i].start || caller >= known[i].end) continue;
      owner.spared = known[i].spared;
      return owner;
    }
    if (above <= frame) break;
    frame = above;
  }
  return owner;
}

/* Tells the log who calls, from the inside out, by those functions that have a name here. (If the process dies of what it is
 * about to do, nobody can ask any more.) */
static void write_callers(void) {
  char line[1000];
  int length = snprintf(line, sizeof line, "allocation %d fails, rls_tenant.so+0x%lx:", wanted, (unsigned long)place);
  void **frame = __builtin_frame_address(0);

  while ((void *)frame < __libc_stack_end && frame[0] > (void *)frame && length < (int)sizeof line - NAMEDATALEN) {
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    void *caller = frame[1];
    frame = frame[0];
    if (dladdr1(caller, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 || symbol == NULL) continue;
    if ((char *)caller < (char *)info.dli_saddr + symbol->st_size) {
      length += snprintf(line + length, sizeof line - length, " %.60s", info.dli_sname);
    }
  }
  line[length++] = '\n';
  if (write(STDERR_FILENO, line, length) != length) errno = 0;
}

/* Whether this allocation is the one to fail. */
static bool is_due(bool by_malloc) {
  Owner owner;

  if (kind == NONE || (kind == MALLOC) != by_malloc) return false;
  if (CritSectionCount > 0 || proc_exit_inprogress) return false;
  owner = owner_of_allocation();
  if (owner.spared || (owner.place == 0 && (kind == OURS || !IsTransactionState()))) return false;
  if (++seen != wanted) return false;
  kind = NONE;
  fired = true;
  place = owner.place;
  write_callers();
  return true;
}

/* Memory contexts */

#if PG_VERSION_NUM >= 170000
#define ALLOC_PARAMETERS MemoryContext context, Size size, int flags
#define ALLOC_ARGUMENTS context, size, flags
#define REALLOC_PARAMETERS void *pointer, Size size, int flags
#define REALLOC_ARGUMENTS pointer, size, flags
#define REALLOC_CONTEXT GetMemoryChunkContext(pointer)
#define MAY_GIVE_NULL ((flags & MCXT_ALLOC_NO_OOM) != 0)
#elif PG_VERSION_NUM >= 160000
#error "PostgreSQL 16 is not one of those that test/hard builds"
#else
#define ALLOC_PARAMETERS MemoryContext context, Size size
#define ALLOC_ARGUMENTS context, size
#define REALLOC_PARAMETERS MemoryContext context, void *pointer, Size size
#define REALLOC_ARGUMENTS context, pointer, size
#define REALLOC_CONTEXT context
#define MAY_GIVE_NULL false /* who asks for it is not known here; nobody does on the way of our scenarios */
#endif

/* A table of methods, as it was. */
typedef struct Methods {
  MemoryContextMethods *table;
  MemoryContextMethods before;
} Methods;

static Methods methods[4];
static int methods_count = 0;

static const MemoryContextMethods *methods_before(MemoryContext context) {
  for (int i = 0; i < methods_count; i++) {
    if (methods[i].table == context->methods) return &methods[i].before;
  }
  elog(FATAL, "memory context \"%s\" is of an unknown kind", context->name);
}

/* Runs out of memory as MemoryContextAlloc() does, but for its list of all memory contexts, which would fill the log. */
static void *fail(MemoryContext context, Size size, bool may_give_null) {
  if (may_give_null) return NULL;
  ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                  errdetail("Failed on request of size %zu in memory context \"%s\".", size, context->name)));
}

static void *failing_alloc(ALLOC_PARAMETERS) {
  if (context != ErrorContext && is_due(false)) return fail(context, size, MAY_GIVE_NULL);
  return methods_before(context)->alloc(ALLOC_ARGUMENTS);
}

static void *failing_realloc(REALLOC_PARAMETERS) {
  MemoryContext owner = REALLOC_CONTEXT;

  if (owner != ErrorContext && is_due(false)) return fail(owner, size, MAY_GIVE_NULL);
  return methods_before(owner)->realloc(REALLOC_ARGUMENTS);
}

/* Makes memory writable that the program only reads. */
static void open_for_writing(void *start, size_t size) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t first = (uintptr_t)start & ~(page - 1);

  if (mprotect((void *)first, (uintptr_t)start + size - first, PROT_READ | PROT_WRITE) != 0) elog(FATAL, "mprotect: %m");
}

/* Takes over the methods of contexts of this kind. */
static void take_methods(MemoryContext context) {
  MemoryContextMethods *table = (MemoryContextMethods *)context->methods;

  Assert(methods_count < lengthof(methods));
  methods[methods_count].table = table;
  methods[methods_count].before = *table;
  methods_count++;
  open_for_writing(table, sizeof *table);
  table->alloc = failing_alloc;
  table->realloc = failing_realloc;
}

/* malloc() */

static void *failing_malloc(size_t size) {
  if (!is_due(true)) return malloc(size);
  errno = ENOMEM;
  return NULL;
}

static void *failing_calloc(size_t count, size_t size) {
  if (!is_due(true)) return calloc(count, size);
  errno = ENOMEM;
  return NULL;
}

static void *failing_realloc_of_malloc(void *pointer, size_t size) {
  if (!is_due(true)) return realloc(pointer, size);
  errno = ENOMEM;
  return NULL;
}

static char *failing_strdup(const char *text) {
  if (!is_due(true)) return strdup(text);
  errno = ENOMEM;
  return NULL;
}

static const struct {
  const char *name;
  void *instead;
} replaced[] = {{"malloc", failing_malloc},
                {"calloc", failing_calloc},
                {"realloc", failing_realloc_of_malloc},
                {"strdup", failing_strdup},
                {"__strdup", failing_strdup}};

/* Puts our functions into a list of the addresses that a program wants to know. */
static void replace_in(const ElfW(Rela) *list, size_t size, ElfW(Addr) base, const ElfW(Sym) *symbols, const char *names) {
  for (const ElfW(Rela) *entry = list; (const char *)entry < (const char *)list + size; entry++) {
    const char *name = names + symbols[ELF64_R_SYM(entry->r_info)].st_name;
    void **slot = (void **)(base + entry->r_offset);
    for (int i = 0; i < lengthof(replaced); i++) {
      if (strcmp(name, replaced[i].name) != 0) continue;
      open_for_writing(slot, sizeof *slot);
      *slot = replaced[i].instead;
    }
  }
}

/* Stands between malloc() and the server or the extension. */
static int take_malloc(struct dl_phdr_info *info, size_t size, void *unused) {
  const ElfW(Sym) *symbols = NULL;
  const char *names = NULL;
  const ElfW(Rela) *calls = NULL, *data = NULL;
  size_t calls_size = 0, data_size = 0;
  const char *library = strrchr(info->dlpi_name, '/');

  if (info->dlpi_name[0] != '\0' && (library == NULL || strcmp(library, "/rls_tenant.so") != 0)) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    for (; entry->d_tag != DT_NULL; entry++) {
      switch (entry->d_tag) {
        case DT_SYMTAB: symbols = (const ElfW(Sym) *)entry->d_un.d_ptr; break;
        case DT_STRTAB: names = (const char *)entry->d_un.d_ptr; break;
        case DT_JMPREL: calls = (const ElfW(Rela) *)entry->d_un.d_ptr; break;
        case DT_PLTRELSZ: calls_size = entry->d_un.d_val; break;
        case DT_RELA: data = (const ElfW(Rela) *)entry->d_un.d_ptr; break;
        case DT_RELASZ: data_size = entry->d_un.d_val; break;
        default: break;
      }
    }
  }
  if (symbols == NULL || names == NULL) return 0;
  replace_in(calls, calls_size, info->dlpi_addr, symbols, names);
  replace_in(data, data_size, info->dlpi_addr, symbols, names);
  return 0;
}

/* The face: a setting, which is set to "N kind" and shows what came of it. No function, whose plan would do what is to be
 * tested: ask rls_tenant. */

static char *setting;

/* A statement begins: from now on it counts, if that was asked for. */
static void analyze(ParseState *state, Query *query, JumbleState *jumble) {
  if (previous_analyze != NULL) previous_analyze(state, query, jumble);
  if (strstr(state->p_sourcetext, "fail_allocation.next") != NULL) kind = NONE; /* the end */
  if (next_kind == NONE) return;
  kind = next_kind;
  next_kind = NONE;
}

static void assign(const char *value, void *extra) {
  char name[8];

  kind = next_kind = NONE;
  if (value == NULL || sscanf(value, "%d %7s", &wanted, name) != 2) return;
  seen = 0;
  place = 0;
  fired = false;
  next_kind = strcmp(name, "ours") == 0 ? OURS : strcmp(name, "any") == 0 ? ANY : MALLOC;
}

/* How many allocations there were, whether one failed, and where. */
static const char *show(void) {
  static char text[60];

  snprintf(text, sizeof text, "%d %d 0x%lx", seen, fired, (unsigned long)place);
  return text;
}

void _PG_init(void) {
  find_known();
  take_methods(TopMemoryContext);
  take_methods(GenerationContextCreate(TopMemoryContext, "fail_allocation", ALLOCSET_SMALL_SIZES));
  take_methods(SlabContextCreate(TopMemoryContext, "fail_allocation", SLAB_DEFAULT_BLOCK_SIZE, 64));
#if PG_VERSION_NUM >= 170000
  take_methods(BumpContextCreate(TopMemoryContext, "fail_allocation", ALLOCSET_SMALL_SIZES));
#endif
  dl_iterate_phdr(take_malloc, NULL);
  DefineCustomStringVariable("fail_allocation.next", "Which allocation of the next statements fails.", NULL, &setting, "",
                             PGC_USERSET, GUC_NO_RESET_ALL, NULL, assign, show);
  previous_analyze = post_parse_analyze_hook;
  post_parse_analyze_hook = analyze;
}
