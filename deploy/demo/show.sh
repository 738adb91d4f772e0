# Showing commands, answers and times. To be sourced.
# shellcheck shell=bash

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s# %s%s\n' "$dim" "$*" "$plain"; }

# Seconds with tenths since the moment NANOSECONDS.
since() { awk -v from="$1" -v to="$(date +%s%N)" 'BEGIN { printf "%.1f s", (to - from) / 1e9 }'; }

# stage TITLE COMMAND...: a preparation; its output is shown as it comes.
stage() {
	local what=$1 began
	shift
	began=$(date +%s%N)
	printf '\n%s-> %s%s\n' "$bold" "$what" "$plain"
	"$@"
	printf '%s   %s: %s%s\n' "$dim" "$what" "$(since "$began")" "$plain"
}

# show COMMAND LINE: prints it, runs it in this shell, prints its answer and its time.
show() {
	local began
	printf '\n%s$ %s%s\n' "$bold" "$1" "$plain"
	began=$(date +%s%N)
	eval "$1"
	printf '%s(%s)%s\n' "$dim" "$(since "$began")" "$plain"
}
