# examples/django: Django and psycopg2, in two processes.

use strict;
use warnings;
use Driver;

drive('django', command => sub { ['/usr/bin/python3', '-m', 'gunicorn', '--workers', '2', '--threads', '10', '--bind', "127.0.0.1:$_[0]", 'wsgi'] });
