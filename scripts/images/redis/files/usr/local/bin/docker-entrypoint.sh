#!/bin/sh
# What users of the official image rely on: arguments or a file of settings, no root, files for the owner alone.
set -e
case ${1:-redis-server} in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis:redis {} +
  exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi
[ "$(umask)" = 0022 ] && umask 0077
if [ "$1" = redis-server ]; then
  # The official build's default: a container is reached from outside of itself.
  shift
  case ${1:-} in
    '' | -*) set -- redis-server --protected-mode no "$@" ;;
    *) settings=$1; shift; set -- redis-server "$settings" --protected-mode no "$@" ;;
  esac
fi
exec "$@"
