#!/bin/sh
# What users of the official image rely on: templates, filled with the variables that there are.
set -e
if [ "$1" = nginx ]; then
  into=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
  defined=$(env | cut -d= -f1 | sed 's/.*/${&}/' | tr '\n' ' ')
  for template in /etc/nginx/templates/*.template; do
    [ -e "$template" ] || continue
    envsubst "$defined" <"$template" >"$into/$(basename "$template" .template)"
  done
fi
exec "$@"
