# Part of targets/cross-debian: what is tested on emulated boards. Kernels must give the bits that the scalar ones give (the
# engine's tests), the right ones must be chosen, and three pictures must be read as this machine reads them.

run_tests() {
  local triple wide=() narrow=() wanted=" $* "
  # What is compared is one build; a board's own target changes what is read.
  unset EDGE_OCR_TARGET EDGE_OCR_CHARSET EDGE_OCR_ISA
  cd "$root"
  for triple in "$@"; do
    case $triple in
      aarch64-*) wide+=(--target "$triple") ;;
      *) narrow+=(--target "$triple") ;;
    esac
  done

  step "the program for this machine" cargo build -q --release --no-default-features
  # First, because the next build puts its program where theirs are.
  [[ $wanted != *" $musl "* ]] || step "programs of single boards" board_programs pi5 pi-zero2w
  # linuxvideo does not compile for 32 bits.
  [ ${#wide[@]} -eq 0 ] || step "programs for 64 bits" xcargo build -q --release --no-default-features --features node,v4l2 "${wide[@]}"
  [ ${#narrow[@]} -eq 0 ] || step "programs for 32 bits" xcargo build -q --release --no-default-features --features node "${narrow[@]}"
  for triple in "$@"; do libraries "$triple"; done
  # The A53 and the A72 have the same instructions, so what is true on one is true on the other.
  if [[ $wanted == *" $gnu "* ]]; then
    step "engine on cortex-a53" engine_tests "$gnu" cortex-a53
    step "engine on cortex-a76" engine_tests "$gnu" cortex-a76
    step "kernels" kernels
  fi
  [[ $wanted != *" $musl "* ]] || step "wrong boards" wrong_boards
  if [[ $wanted == *" $armv7 "* ]]; then step "engine on cortex-a7" engine_tests "$armv7" cortex-a7; fi
  step "pictures" pictures "$wanted"
}

# Board programs must start on the systems of the boards: the newest glibc that is asked for, or none at all.
libraries() {
  local program="$build/$1/release/edge-ocr" needed newest
  needed=$(readelf -d "$program" | grep -c '(NEEDED)' || true)
  newest=$(readelf -V "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 || true)
  case $1 in
    *musl*) [ "$needed" -eq 0 ] || fail "$1: the program is not static" ;;
    # Raspberry Pi OS Bookworm has 2.36.
    *) [ "$(printf '%s\n' "$newest" GLIBC_2.36 | sort -V | tail -n 1)" = GLIBC_2.36 ] || fail "$1: needs $newest" ;;
  esac
  printf '   %s: %s, %s bytes\n' "$1" "${newest:-static}" "$(stat -c %s "$program")"
}

# With a limit, because a bug can be an endless loop.
engine_tests() {
  local said
  said=$(EDGE_OCR_CPU=$2 timeout 600 "$root/targets/cross-debian" \
    cargo test --release -p edge-ocr-engine --target "$1" --tests 2>&1) || fail "tests of the engine on $2: $said"
  printf '   %s tests pass\n' "$(awk '/^test result:/ { n += $4 } END { print n }' <<<"$said")"
}

# Selection, and the program's self-test. qemu is exact here: what the processor lacks dies with SIGILL.
kernels() {
  local pair cpu want said qemu program="$build/$gnu/release/edge-ocr"
  for pair in cortex-a72:neon-sadalp cortex-a76:neon-dot; do
    cpu=${pair%:*} want=${pair#*:}
    emulator "$gnu" "$cpu"
    said=$(timeout 300 "${qemu[@]}" "$program" check --repeat 1)
    grep -q ", kernels $want\$" <<<"$said" || fail "$cpu: not $want: $said"
    printf '   %s: %s\n' "$cpu" "$want"
  done
  # Asked for, but not there.
  emulator "$gnu" cortex-a72
  if EDGE_OCR_ISA=neon-dot timeout 300 "${qemu[@]}" "$program" check >/dev/null 2>&1; then
    fail "cortex-a72: neon-dot was not refused"
  fi
}

# Programs for the targets of the arguments, in $build/boards. Only their crates and kernels are optimised, which costs seconds
# instead of minutes, and undoes nothing of the other programs.
board_programs() {
  local target
  mkdir -p "$build/boards"
  for target in "$@"; do
    EDGE_OCR_TARGET=$target xcargo build -q --release --no-default-features --target "$musl" \
      --config 'profile.release.package.edge-ocr.opt-level=0'
    cp "$build/$musl/release/edge-ocr" "$build/boards/$target"
  done
}

# What a wrong board says, and its exit code. qemu plays processors, not what Linux says of them: with -L the program sees
# these files instead of this machine's.
wrong_boards() {
  local qemu board=$build/boards/system pi5=$build/boards/pi5
  mkdir -p "$board/proc"
  printf 'processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n' >"$board/proc/cpuinfo"
  printf 'MemTotal:        3884360 kB\n' >"$board/proc/meminfo"
  emulator "$musl" cortex-a72
  refused "neon-dot.*EDGE_OCR_TARGET=pi4$" "${qemu[@]}" -L "$board" "$pi5"
  # The right processor, and too little memory.
  printf 'processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n' >"$board/proc/cpuinfo"
  printf 'MemTotal:          98304 kB\n' >"$board/proc/meminfo"
  emulator "$musl" cortex-a76
  refused "more than half of this machine's memory.*EDGE_OCR_TARGET=generic$" "${qemu[@]}" -L "$board" "$pi5"
  # With memory it runs: what was refused is not the emulator.
  printf 'MemTotal:        4026532 kB\n' >"$board/proc/meminfo"
  timeout 300 "${qemu[@]}" -L "$board" "$pi5" read "$root/tests/golden/digit.png" --line >/dev/null || fail "pi5: refused on a Pi 5"
  # Its plans are deflated; the self-test reads with all three.
  emulator "$musl" cortex-a53
  timeout 300 "${qemu[@]}" "$build/boards/pi-zero2w" check --repeat 1 >/dev/null || fail "pi-zero2w: does not read"
}

# refused SENTENCE COMMAND...: COMMAND is given a picture to read, ends with 6 and says one line, which matches.
refused() {
  local sentence=$1 said code=0
  shift
  said=$(timeout 300 "$@" read "$root/tests/golden/digit.png" --line 2>&1) || code=$?
  [ "$code" -eq 6 ] || fail "a wrong board: ended with $code: $said"
  [ "$(wc -l <<<"$said")" -eq 1 ] && grep -q "$sentence" <<<"$said" || fail "a wrong board: $said"
  printf '   %s\n' "$said"
}

# Slowest first. Scores included, all boards read the same; so few runs are needed, but each kind of kernel, both C libraries
# and 32 bits among them.
pictures() {
  local jobs=() job picture few=(
    "cortex-a76 $gnu page" "cortex-a53 $gnu receipt" "cortex-a76 $musl receipt" "cortex-a15 $armv7 plate" "cortex-a53 $gnu plate"
  )
  if [ -n "${EDGE_OCR_CROSS_ALL:-}" ]; then
    few=()
    for picture in page receipt plate; do
      few+=("cortex-a15 $armv7 $picture" "cortex-a53 $gnu $picture" "cortex-a72 $gnu $picture")
      few+=("cortex-a76 $gnu $picture" "cortex-a76 $musl $picture")
    done
  fi
  for job in "${few[@]}"; do
    job=($job)
    [[ $1 != *" ${job[1]} "* ]] || jobs+=("${job[*]}")
  done
  mkdir -p "$build/readings"
  for picture in page receipt plate; do
    "${CARGO_TARGET_DIR:-$root/target}/release/edge-ocr" read "$root/tests/golden/$picture.jpg" --engine arena --format json \
      -o "$build/readings/$picture.json"
  done
  # One thread each, several at a time: no processor waits for the last line.
  [ ${#jobs[@]} -eq 0 ] || printf '%s\n' "${jobs[@]}" | xargs -L 1 -P "$(nproc)" "$root/targets/cross-debian" reading
}

# reading CPU TRIPLE PICTURE
reading() {
  local start=$SECONDS qemu found="$build/readings/$3.$2.$1.json"
  emulator "$2" "$1"
  timeout 1200 "${qemu[@]}" "$build/$2/release/edge-ocr" read "$root/tests/golden/$3.jpg" --threads 1 --format json -o "$found"
  "$root/targets/same_reading.py" "$build/readings/$3.json" "$found" || fail "$3.jpg on $1 ($2) is not read as on this machine"
  printf '   %s on %s (%s): the same, %s s\n' "$3" "$1" "$2" $((SECONDS - start))
}
