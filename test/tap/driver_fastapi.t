# examples/fastapi: FastAPI, SQLAlchemy and asyncpg, in two processes.

use strict;
use warnings;
use Driver;

drive('fastapi', command => sub { ['/usr/bin/python3', '-m', 'uvicorn', 'app:app', '--workers', '2', '--port', $_[0], '--log-level', 'warning'] });
