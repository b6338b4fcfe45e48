# A model of what a session's transaction stands for, for random_context.t: which values are set, to which the transaction
# is bound, and which SQLSTATE must come when another is set or read.
package ContextModel;

use strict;
use warnings;

# one: whether a transaction stands for one tenant; pin: the tenant that the role is pinned to; loaded: whether the library
# is loaded already.
sub new {
  my ($class, %options) = @_;
  my $self = bless {%options}, $class;
  $self->begin;
  return $self;
}

# A transaction begins, or has ended. What is known of a setting:
#   value    what the session has set, '' for nothing; undef or absent: nothing, or it went back to its default
#   touched  how many savepoints there were when it was first set or reset; with the last of them that is undone
#   bound    {id, read, level}: to what the transaction is bound; if it was not read, undone as touched is
sub begin {
  my ($self) = @_;
  @$self{qw(value touched bound savepoints)} = ({}, {}, {}, []);
  return;
}

# How many savepoints there are.
sub depth { my ($self) = @_; return scalar @{$self->{savepoints}} }

# The tenant (or account) that the context stands for now, '' if none.
sub now {
  my ($self, $setting) = @_;
  return $self->{value}{$setting} // ($setting eq 'tenant' ? $self->{pin} // '' : '');
}

# Whether a role that is pinned would leave its pin: refused at the latest when it reads, and at once by set_context().
sub leaves_pin { my ($self, $id) = @_; return $self->{pin} && $id ne $self->{pin} }

# Whether the transaction is bound, and to another value.
sub is_bound { my ($self, $setting) = @_; return $self->{one} && $self->{bound}{$setting} }

sub breaks_binding {
  my ($self, $setting, $id) = @_;
  return $self->is_bound($setting) && $self->{bound}{$setting}{id} ne $id;
}

# Binds the transaction, where it is not bound yet, to a value ('': none) that it has set.
sub _bind_by_set {
  my ($self, $setting, $id, $level) = @_;
  $self->{bound}{$setting} //= {id => $id, level => $level} if $self->{one} && $self->{loaded};
  return;
}

# A read binds to what it has read, and to all settings as they are. No ROLLBACK TO undoes that.
sub bind_by_read {
  my ($self, $setting, $id) = @_;
  my $bound = $self->{bound};
  $bound->{$setting} = {id => $id, read => 1};
  return unless $self->{one};
  for my $other (qw(tenant account)) {
    $bound->{$other} //= {id => $self->now($other)};
    $bound->{$other}{read} = 1;
  }
  return;
}

# The library is loaded by the first call of a function of it: from then on the transaction is bound to what has been set
# in it, at whatever level. Before, nothing refuses a SET.
sub load {
  my ($self) = @_;
  return if $self->{loaded};
  $self->{loaded} = 1;
  my $value = $self->{value};
  for my $setting (keys %$value) { $self->_bind_by_set($setting, $value->{$setting}, 0) if ($value->{$setting} // '') ne '' }
  return;
}

# A value that nothing refuses: a RESET, or what has been found to be right.
sub put {
  my ($self, $setting, $id) = @_;
  $self->{value}{$setting} = $id;
  $self->{touched}{$setting} //= $self->depth;
  return;
}

sub reset_all {
  my ($self) = @_;
  for my $setting (keys %{$self->{value}}) { $self->put($setting, undef) if defined $self->{value}{$setting} }
  return;
}

# A set that a check hook sees; undef: back to the default, by set_context() and clear_context(). Gives the SQLSTATE that
# must come, or ''.
sub set {
  my ($self, $setting, $id) = @_;
  return '' if !defined $id && !defined $self->{value}{$setting};
  return '25001' if $self->breaks_binding($setting, $id // $self->_default($setting));
  $self->put($setting, $id);
  $self->_bind_by_set($setting, $id, $self->depth) if ($id // '') ne '';
  return '';
}

sub _default { my ($self, $setting) = @_; return $setting eq 'tenant' ? $self->{pin} // '' : '' }

# set_context(): what it leaves out is bound as it is.
sub set_context {
  my ($self, $id, $account) = @_;
  $self->load;
  my $refused = $self->set('tenant', $id) || ($self->leaves_pin($id) ? '42501' : '') || $self->set('account', $account);
  $self->_bind_by_set('account', $self->now('account'), $self->depth) unless $refused || defined $account;
  return $refused;
}

sub clear_context {
  my ($self) = @_;
  $self->load;
  return $self->set('tenant', undef) || $self->set('account', undef);
}

# A read. Gives the SQLSTATE that must come, or ''.
sub read_one {
  my ($self, $setting) = @_;
  my $id = $self->now($setting);
  $self->load;
  return '25001' if $self->breaks_binding($setting, $id);
  return '42501' if $setting eq 'tenant' && $self->leaves_pin($id);
  return '55000' if $id eq '';
  $self->bind_by_read($setting, $id);
  return '';
}

# A statement that reads the tenant, and one that reads the account, too.
sub read_tenant { my ($self) = @_; return $self->read_one('tenant') }
sub read_both { my ($self) = @_; return $self->read_one('tenant') || $self->read_one('account') }

# A statement that reads, and sets a tenant while it does: it must be the same.
sub switch_within {
  my ($self, $id) = @_;
  my $tenant = $self->now('tenant');
  my $wanted = $self->read_tenant || ($id ne $tenant ? '25001' : '');
  $self->put('tenant', $id) unless $wanted;
  return $wanted;
}

# A function with a SET clause that reads: its value ends with it, what it has read does not.
sub read_as {
  my ($self, $id) = @_;
  my $wanted = $self->breaks_binding('tenant', $id) ? '25001' : $self->leaves_pin($id) ? '42501' : '';
  $self->bind_by_read('tenant', $id) unless $wanted;
  $self->load;
  return $wanted;
}

# A subtransaction that sets a tenant and reads, and then fails or not; and a read after it.
sub attempt {
  my ($self, $id, $fails) = @_;
  $self->load;
  $self->savepoint;
  my $refused = $self->set_context($id, undef) || $self->read_tenant;
  $self->back_to($self->depth - 1) if $refused || $fails;
  $self->release($self->depth - 1);
  return $self->read_tenant;
}

# Savepoints, by number from 0 on.
sub savepoint {
  my ($self) = @_;
  push @{$self->{savepoints}}, {%{$self->{value}}};
  return;
}

sub back_to {
  my ($self, $index) = @_;
  my ($touched, $bound) = @$self{qw(touched bound)};
  $self->{value} = {%{$self->{savepoints}[$index]}};
  $#{$self->{savepoints}} = $index;
  delete @$touched{grep { $touched->{$_} > $index } keys %$touched};
  delete @$bound{grep { !$bound->{$_}{read} && $bound->{$_}{level} > $index } keys %$bound};
  # What was set before the library was loaded has no level: it is gone when nothing is left to be undone.
  return if defined $touched->{tenant};
  delete @$bound{grep { !$bound->{$_}{read} && !defined $touched->{$_} } keys %$bound};
  return;
}

sub release {
  my ($self, $index) = @_;
  $#{$self->{savepoints}} = $index - 1;
  for (values %{$self->{touched}}) { $_ = $index if $_ > $index }
  for (values %{$self->{bound}}) { $_->{level} = $index if ($_->{level} // 0) > $index }
  return;
}

1;
