# Part of packaging/cross-debian: what is tested on emulated boards. Kernels must give the bits that the scalar ones give (the
# engine's tests), the right ones must be chosen, and images must be read as this machine reads them.

run_tests() {
  local triple narrow=() tested=() jobs=() wanted=" $* "
  # What is compared is one build; a board's own target changes what is read.
  unset EDGE_OCR_TARGET EDGE_OCR_CHARSET EDGE_OCR_ISA
  cd "$root"
  for triple in "$@"; do
    case $triple in
      "$gnu") tested+=(--target "$triple") ;;
      "$armv7") narrow+=(--target "$triple") tested+=(--target "$triple") ;;
      "$armv6") tested+=(--target "$triple") ;;
    esac
  done

  # The program that .ci/run has built before.
  step "the program for this machine" cargo build -q --release --no-default-features --features node,v4l2
  [[ $wanted != *" $musl "* ]] || step "programs of single boards" board_programs
  [[ $wanted != *" $gnu "* ]] || step "the program for 64 bits" board_build --features node,v4l2 --target "$gnu"
  # linuxvideo does not compile for 32 bits. All but the kernels with less optimisation, which takes a third off.
  [ ${#narrow[@]} -eq 0 ] || step "the program for 32 bits" board_build --features node "${narrow[@]}" --config 'profile.release.opt-level=1'
  [[ $wanted != *" $armv6 "* ]] || step "the program for ARMv6" armv6_program
  for triple in "$@"; do libraries "$triple"; done
  [ ${#tested[@]} -eq 0 ] || step "tests of the engine" xcargo test -q --release -p edge-ocr-engine --tests --no-run "${tested[@]}"

  # Longest first, one thread each, several at a time: no processor waits for the last one.
  [[ $wanted != *" $armv6 "* ]] || jobs+=("engine_tests $armv6 arm1176")
  [[ $wanted != *" $armv7 "* ]] || jobs+=("engine_tests $armv7 cortex-a7")
  # The A53 and the A72 have the same instructions, so what is true on one is true on the other.
  [[ $wanted != *" $gnu "* ]] || jobs+=("engine_tests $gnu cortex-a53" "engine_tests $gnu cortex-a76")
  step "readings of this machine" readings_here
  images "$wanted"
  [[ $wanted != *" $musl "* ]] || jobs+=(wrong_boards)
  [[ $wanted != *" $gnu "* ]] || jobs+=(kernels)
  [ ${#jobs[@]} -eq 0 ] || step "on emulated boards" run_jobs "${jobs[@]}"
}

board_build() {
  xcargo build -q --release --no-default-features "$@"
}

run_jobs() {
  printf '%s\n' "$@" | xargs -L 1 -P "$(nproc)" "$root/packaging/cross-debian" job
}

# Where the program for $1 and processor $2 is. The static ones are those of boards, whose plans are of this machine's sizes, the Zero 2
# W's and the Pi 1's without the large ones.
program_for() {
  case $1:${2:-} in
    "$musl:cortex-a53") echo "$build/boards/pi-zero2w" ;;
    "$musl":*) echo "$build/boards/pi5" ;;
    "$armv6":*) echo "$build/boards/pi1" ;;
    *) echo "$build/$1/release/edge-ocr" ;;
  esac
}

# Board programs must start on the systems of the boards: the newest glibc that is asked for, or none at all.
libraries() {
  local program needed newest
  program=$(program_for "$1")
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
  said=$(EDGE_OCR_CPU=$2 RUST_TEST_THREADS=1 timeout 900 "$root/packaging/cross-debian" \
    cargo test --release -p edge-ocr-engine --target "$1" --tests 2>&1) || fail "tests of the engine on $2: $said"
  printf '   %s: %s tests pass\n' "$2" "$(awk '/^test result:/ { n += $4 } END { print n }' <<<"$said")"
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

# Programs for static systems, in $build/boards. The Pi 5's is as it is shipped, and stands for its triple; of the other only
# its kernels and foreign crates are optimised, which costs seconds instead of minutes.
board_programs() {
  local board more
  mkdir -p "$build/boards"
  for board in pi5 pi-zero2w; do
    more=()
    [ "$board" = pi5 ] || more=(--config 'profile.release.package.edge-ocr.opt-level=0')
    EDGE_OCR_TARGET=$board board_build --features node,v4l2 --target "$musl" "${more[@]}"
    cp "$build/$musl/release/edge-ocr" "$build/boards/$board"
  done
}

# The Pi 1's and Zero's, with less optimisation like that for ARMv7.
armv6_program() {
  mkdir -p "$build/boards"
  EDGE_OCR_TARGET=pi1 board_build --features node --target "$armv6" --config 'profile.release.opt-level=1'
  cp "$build/$armv6/release/edge-ocr" "$build/boards/pi1"
  only_armv6 "$build/boards/pi1"
}

# No instruction of $1 is newer than ARMv6 and VFPv2, wherever the images lead; qemu sees only what runs. $1 must have its symbols. Left
# out is what never runs there: musl's atomics for ARMv7, which it takes if Linux says that the processor is one, and the
# unwinder's registers that VFPv2 lacks.
only_armv6() {
  local newer
  newer=$(arm-linux-gnueabihf-objdump -d --no-show-raw-insn "$1" | awk -F '\t' '
    /^[0-9a-f]+ </ { split($0, part, /[<>]/); name = part[2]; code = name !~ /^(__a_(barrier|cas)_v7|__gnu_Unwind_(Save|Restore)_VFP_D_16_to_31)$/ }
    code && /^ *[0-9a-f]+:\t/ {
      verb = $2; on = $3; sub(/ .*/, "", verb); sub(/[@<;].*/, "", on)
      if (verb ~ /^(movw|movt|dmb|dsb|isb|bf[ic]|[us]bfx|rbit|mls|[us]div|ldrht|strht|ldrs[bh]t|pldw|pli|wfe|sev)/ ||
        verb ~ /^(vfn?m[as]|v(ld|st)[1-4]|vdup|vpadd|vext|vtb[lx]|vzip|vuzp|vtrn|vand|veor|vorr|vbic|vmvn)/ ||
        verb ~ /^v[a-z]+\.[iusp](8|16|64)/ || on ~ /(^|[ ,{-])(q[0-9]+|d(1[6-9]|2[0-9]|3[01]))([],} -]|$)/ || (verb ~ /^vmov/ && on ~ /#/))
        print verb " in " name
    }' | sort | uniq -c | sort -rn)
  [ -z "$newer" ] || fail "the program for ARMv6 has newer instructions: $(head -n 5 <<<"$newer")"
  nm "$1" | grep ' __a_cas_v7$' >/dev/null || fail "the program for ARMv6 has no symbols by which to look at it"
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

# refused SENTENCE COMMAND...: COMMAND is given an image to read, ends with 6 and says one line, which matches.
refused() {
  local sentence=$1 said code=0
  shift
  said=$(timeout 300 "$@" read "$root/tests/golden/digit.png" --line 2>&1) || code=$?
  [ "$code" -eq 6 ] || fail "a wrong board: ended with $code: $said"
  [ "$(wc -l <<<"$said")" -eq 1 ] && grep -q "$sentence" <<<"$said" || fail "a wrong board: $said"
  printf '   %s\n' "$said"
}

# Adds the readings to `jobs`, slowest first: three real images on each kind of core, and each of the other C libraries and
# 32 bits at least once.
images() {
  local image cpu job list=()
  if [ -n "${EDGE_OCR_CROSS_ALL:-}" ]; then
    for image in page receipt plate header car sign; do
      list+=("cortex-a15 $armv7 $image" "cortex-a53 $gnu $image" "cortex-a72 $gnu $image")
      list+=("cortex-a76 $gnu $image" "cortex-a76 $musl $image")
    done
    # Larger ones are cut into tiles for this board.
    for image in plate header car sign; do list+=("arm1176 $armv6 $image"); done
  else
    for image in header car sign; do
      for cpu in cortex-a53 cortex-a72 cortex-a76; do list+=("$cpu $gnu $image"); done
    done
    list+=("arm1176 $armv6 car" "cortex-a76 $musl header" "cortex-a15 $armv7 car" "cortex-a53 $musl sign" "arm1176 $armv6 sign")
  fi
  for job in "${list[@]}"; do
    job=($job)
    [[ $1 != *" ${job[1]} "* ]] || jobs+=("reading ${job[*]}")
  done
}

# Sets `image` to an image and the region of it that is read. The real ones are of the project's data, whose licences keep them
# out of the repository: the head of a scanned receipt, a car in a street, a sign. Where they are not, rendered ones of like
# size take their places. Together they take detector, classifier and recogniser through both small sizes and a dozen lines.
find_image() {
  local data=$root/../shared/data golden=$root/tests/golden
  case $1 in
    header) image=("$data/receipts/img/sroie_041.jpg" --roi 0,0,619,420) ;;
    car) image=("$data/plates/img/eu_003.jpg") ;;
    sign) image=("$data/scene/img/ic15_img_67.jpg" --roi 600,130,240,110) ;;
    *) image=("$golden/$1.jpg") ;;
  esac
  [ ! -e "${image[0]}" ] || return 0
  case $1 in
    header) image=("$golden/receipt.jpg" --roi 60,70,440,260) ;;
    car) image=("$golden/plate.jpg") ;;
    sign) image=("$golden/receipt.jpg" --roi 60,80,320,100) ;;
  esac
}

# With these, those of the boards are compared.
readings_here() {
  local name image
  mkdir -p "$build/readings"
  for name in page receipt plate header car sign; do
    find_image "$name"
    "${CARGO_TARGET_DIR:-$root/target}/release/edge-ocr" read "${image[@]}" --engine arena --fail-on-empty --format json \
      -o "$build/readings/$name.json"
  done
}

# reading CPU TRIPLE IMAGE
reading() {
  local start=$SECONDS qemu image limit=1200 found="$build/readings/$3.$2.$1.json"
  emulator "$2" "$1"
  find_image "$3"
  # Whole pages take long on 32 bits.
  [ -z "${EDGE_OCR_CROSS_ALL:-}" ] || limit=3600
  timeout "$limit" "${qemu[@]}" "$(program_for "$2" "$1")" read "${image[@]}" --threads 1 --format json -o "$found"
  "$root/packaging/cross/same_reading.py" "$build/readings/$3.json" "$found" || fail "$3 on $1 ($2) is not read as on this machine"
  printf '   %s on %s (%s): the same, %s s\n' "$3" "$1" "$2" $((SECONDS - start))
}
