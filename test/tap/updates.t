# ALTER EXTENSION … UPDATE comes to the same as CREATE EXTENSION: for each script in sql/updates, and for some that are made up
# here, which show that the comparison finds what an update forgets.

use strict;
use warnings;
use Cluster;
use Test::More;

my $server = Cluster->running;
my $db = $server->connect($server->database('updates'));
my $directory = qx{'$ENV{PG_CONFIG}' --sharedir} =~ s/\s+\z//r . '/extension';
my @written;
END { unlink @written }

# Writes a script beside the installed ones, until the test ends.
sub install {
  my ($name, $text) = @_;
  my $path = "$directory/$name";
  die "$path is there\n" if -e $path;
  push @written, $path;
  open(my $file, '>:encoding(UTF-8)', $path) or die "$path: $!\n";
  print $file $text;
  close $file or die "$path: $!\n";
}

# Whatever of an extension the catalogs describe, as text without object identifiers.
sub definitions {
  my ($extension) = @_;
  my $members = qq{(SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = '$extension')};
  my $of = sub { my ($catalog, $column) = @_; return "$column IN (SELECT objid FROM $members m WHERE classid = '$catalog'::regclass)" };
  return join("\n\n", map { rows($db, $_) }
    "SELECT pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name) FROM $members m ORDER BY 1",
    "SELECT pg_get_functiondef(oid), proacl, proowner::regrole, prosupport FROM pg_proc WHERE @{[$of->('pg_proc', 'oid')]}
      ORDER BY oid::regprocedure::text",
    "SELECT oid::regclass, relkind, relowner::regrole, relacl, relrowsecurity, relforcerowsecurity FROM pg_class
      WHERE @{[$of->('pg_class', 'oid')]} ORDER BY 1",
    "SELECT attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attacl,
        pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
      FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
      WHERE attnum > 0 AND @{[$of->('pg_class', 'attrelid')]} ORDER BY 1, 2",
    "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE @{[$of->('pg_class', 'conrelid')]}
      ORDER BY 1, 2",
    "SELECT polrelid::regclass, polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),
        pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy')
      FROM pg_policy WHERE @{[$of->('pg_class', 'polrelid')]} ORDER BY 1, 2",
    "SELECT tgrelid::regclass, pg_get_triggerdef(oid), tgenabled FROM pg_trigger
      WHERE NOT tgisinternal AND @{[$of->('pg_class', 'tgrelid')]} ORDER BY tgrelid::regclass::text, tgname",
    "SELECT evtname, evtevent, evtenabled, evttags, evtfoid::regprocedure FROM pg_event_trigger
      WHERE @{[$of->('pg_event_trigger', 'oid')]} ORDER BY 1",
    "SELECT nspname, nspowner::regrole, nspacl FROM pg_namespace WHERE @{[$of->('pg_namespace', 'oid')]}",
    "SELECT pg_describe_object(classoid, objoid, objsubid), privtype, initprivs FROM pg_init_privs
      WHERE (classoid, objoid) IN (SELECT classid, objid FROM $members m) ORDER BY 1",
    "SELECT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(refclassid, refobjid, refobjsubid), deptype
      FROM pg_depend d JOIN $members m USING (classid, objid) ORDER BY 1, 2, 3",
    "SELECT extversion, extowner::regrole, extnamespace::regnamespace, extrelocatable, extconfig::regclass[], extcondition,
        obj_description(oid, 'pg_extension')
      FROM pg_extension WHERE extname = '$extension'");
}

# Creates a version, updates it; gives its definitions before and after.
sub updated {
  my ($extension, $version) = @_;
  $db->do("CREATE EXTENSION $extension VERSION '$version'");
  my $before = definitions($extension);
  $db->do("ALTER EXTENSION $extension UPDATE");
  my $after = definitions($extension);
  $db->do("DROP EXTENSION $extension");
  return ($before, $after);
}

# Tests the updates of an extension. In a made-up earlier version a function is missing: its block in the install script, up
# to an empty line.
sub test_updates {
  my ($extension, $function) = @_;
  my $present = value($db, 'SELECT default_version FROM pg_available_extensions WHERE name = ?', $extension);
  $db->do("CREATE EXTENSION $extension");
  my $fresh = definitions($extension);
  $db->do("DROP EXTENSION $extension");
  $db->do("CREATE EXTENSION $extension");
  same_lines(definitions($extension), $fresh, "$extension: the same is created each time");
  $db->do("DROP EXTENSION $extension");

  for my $script (glob("$top/sql/updates/$extension--*--*.sql")) {
    my ($version) = $script =~ /--([^-]+)--/;
    my ($before, $after) = updated($extension, $version);
    same_lines($after, $fresh, "$extension: updated from $version it is as created");
  }

  my $script = slurp("$directory/$extension--$present.sql");
  $script =~ s/^(CREATE FUNCTION \Q$function\E\(.*?\n)\n//ms or die "where is $function()?\n";
  my $block = $1;
  my %update = (
    right => $block,
    'without a comment' => $block =~ s/^COMMENT .*//msr,
    'with another body' => $block =~ s/PARALLEL (SAFE|UNSAFE)/PARALLEL RESTRICTED/r,
    $block =~ /^REVOKE/m ? ('without REVOKE' => $block =~ s/^REVOKE .*\n//mr) : ());
  my $number = 0;
  for my $how (sort keys %update) {
    my $version = '0.0.' . ++$number;
    install("$extension--$version.sql", $script);
    install("$extension--$version--$present.sql", $update{$how});
    my ($before, $after) = updated($extension, $version);
    isnt($before, $fresh, "$extension: the made-up version $version is another one");
    if ($how eq 'right') {
      same_lines($after, $fresh, "$extension: updated it is as created");
    } else {
      isnt($after, $fresh, "$extension: an update $how is found out");
    }
  }
}

test_updates('rls_tenant', 'rls_tenant.is_outdated');
SKIP: {
  skip 'pgTAP is not installed for this PostgreSQL: rls_tenant_tap was not created', 7
    unless value($db, q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pgtap'});
  $db->do("CREATE EXTENSION $_") for 'pgtap', 'rls_tenant';
  test_updates('rls_tenant_tap', '@extschema@.as_nobody');
}

done_testing();
