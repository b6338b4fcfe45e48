# examples/nestjs: NestJS and node-postgres, in TypeScript.

use strict;
use warnings;
use Daemon;
use Driver;

drive('nestjs',
  prepare => sub { npm_ci($_[0]); run_as_server($_[0], {}, 'node_modules/.bin/tsc') },
  command => sub { ['node', 'dist/main.js'] });
