# examples/express: Express and node-postgres.

use strict;
use warnings;
use Driver;

drive('express', prepare => \&npm_ci, command => sub { ['node', 'app.js'] });
