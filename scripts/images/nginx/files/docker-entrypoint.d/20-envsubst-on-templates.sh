#!/bin/sh
# Write /etc/nginx/templates/NAME.template to /etc/nginx/conf.d/NAME with the environment's variables put in.
set -e
folder=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
out=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
if [ ! -d "$folder" ]; then exit 0; fi
names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p' | tr '\n' ' ')
find "$folder" -type f -name '*.template' | while read -r file; do
  target=$out/$(basename "$file" .template)
  envsubst "$names" <"$file" >"$target"
done
