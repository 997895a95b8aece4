"""How gunicorn serves the app; `gunicorn app:app` reads this file by itself."""

import os

bind = f"0.0.0.0:{os.environ.get('PORT', '5000')}"
workers = 2
threads = 4
timeout = 30
graceful_timeout = 10
worker_tmp_dir = "/dev/shm"  # a beating heart on disk stalls when the disk does
control_socket_disable = True  # nothing here asks for one, and the home may be read-only
accesslog = "-"
access_log_format = '%(m)s %(U)s %(s)s %(M)sms'
