# Part of packaging/cross-debian: compiler, standard libraries and C libraries for ARM.
#
# Debian's rustc-web brings the sources of the standard library with all that they need, so std is built for any target
# without a network; its packages are unpacked, not installed, and so conflict with nothing.

setup() {
  local packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user) builds=()
  local triple
  for triple in "$@"; do
    case $triple in
      "$gnu") ;;
      "$musl") builds+=("$triple") ;;
      "$armv7") packages+=(gcc-arm-linux-gnueabihf libc6-dev-armhf-cross) builds+=("$triple") ;;
      "$armv6") packages+=(gcc-arm-linux-gnueabihf libc6-dev-armhf-cross make xz-utils) builds+=("$triple") ;;
    esac
  done
  command -v cargo >/dev/null || fail "cargo is not here: https://rustup.rs"
  # Without stamps: packages go when a machine is made again around a kept folder.
  install_packages "${packages[@]}"
  once "rust" unpack_rust
  # Together, so that what both need of the host is built once and both processors have work.
  local missing=()
  for triple in "${builds[@]}"; do
    [ -e "$here/stamps/std-$triple" ] || missing+=("$triple")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    step "std of ${missing[*]}" build_std "${missing[@]}"
    for triple in "${missing[@]}"; do touch "$here/stamps/std-$triple"; done
  fi
  for triple in "$@"; do
    case $triple in
      "$musl") once "libc of $musl" musl_of_debian ;;
      "$armv6") once "libc of $armv6" musl_from_source ;;
    esac
  done
}

install_packages() {
  local missing=() package sudo=()
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  step "packages ${missing[*]}" apt_install
}

apt_install() {
  # The index of a fresh image is often missing or stale.
  "${sudo[@]}" apt-get -qq update
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" >/dev/null
}

# Sets `apt` to the options for an index of our own that knows arm64 too, from the machine's Debian sources: no
# `dpkg --add-architecture`. $1: `deb`, or `deb deb-src` for source packages.
private_apt() {
  local own=$here/apt file list type source
  mkdir -p "$own"/{lists/partial,archives/partial}
  list=$own/all.sources
  for file in $(grep -ls '^Suites:.*bookworm' /etc/apt/sources.list.d/*.sources || true); do
    sed "s/^Types:.*/Types: $1/" "$file"
    echo
  done >"$list"
  if [ ! -s "$list" ]; then
    list=$own/all.list
    sed -n 's/^deb \(.*bookworm.*\)/\1/p' /etc/apt/sources.list | while read -r source; do
      for type in $1; do echo "$type $source"; done
    done >"$list"
  fi
  [ -s "$list" ] || fail "apt has no sources of Debian 12 (bookworm)"
  apt=(-qq -oAPT::Architectures::=amd64 -oAPT::Architectures::=arm64 -oDir::State::Lists="$own/lists" -oDir::Cache="$own"
    -oDir::Etc::sourcelist="$list" -oDir::Etc::sourceparts=/nonexistent -oAPT::Sandbox::User="$(id -un)")
  apt-get "${apt[@]}" update
}

unpack_rust() {
  local apt std llvm file name packages
  private_apt deb
  # What is added to it later is gone then, too.
  rm -rf "$rust" "$here/deb" "$here/stamps"/*
  mkdir -p "$rust/bin" "$here/deb"
  # The version is in the names of the libraries' packages.
  std=$(dependency libstd-rust-web-dev libstd-rust-web-)
  llvm=$(dependency "$std" libllvm)
  packages=(rustc-web "$std" "$llvm" libstd-rust-web-dev libstd-rust-web-dev:arm64 rust-web-src)
  (cd "$here/deb" && apt-get "${apt[@]}" download "${packages[@]}")
  for file in "$here"/deb/*.deb; do
    case $file in
      # The compiler's own sources are large, and only the library's are wanted.
      */rust-web-src_*) dpkg --fsys-tarfile "$file" | tar -x -C "$rust" --wildcards './usr/lib/*' './usr/src/*/library/*' ;;
      *) dpkg -x "$file" "$rust" ;;
    esac
  done
  for name in rustc rustdoc; do
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "%s" "$@"\n' \
      "$rust/usr/lib/x86_64-linux-gnu" "$rust/usr/bin/$name" >"$rust/bin/$name"
    chmod +x "$rust/bin/$name"
  done
  rm -rf "$here/deb"
  "$rust/bin/rustc" -V
}

# The first package that $1 depends on whose name begins with $2.
dependency() {
  apt-cache "${apt[@]}" depends "$1" | awk -v p="$2" '$1 == "Depends:" && index($2, p) == 1 && !s { s = $2 } END { print s }'
}

rustlib() {
  echo "$("$rust/bin/rustc" --print sysroot)/lib/rustlib"
}

# std for each triple from the sources and the crates that lie beside them: an empty crate is built with -Zbuild-std, and the
# libraries that this leaves go into the compiler's folder. The unstable flag is needed here only.
build_std() {
  local lib work=$here/std triple triples=()
  lib=$(rustlib)
  rm -rf "$work"
  mkdir -p "$work/src"
  : >"$work/src/lib.rs"
  printf '[package]\nname="seed"\nversion="0.0.0"\nedition="2021"\n[workspace]\n[profile.release]\ncodegen-units=1\n' >"$work/Cargo.toml"
  # cargo does not know that this crate wants to be compiled for abort.
  # shellcheck disable=SC2016
  printf '#!/bin/sh\ncase " $* " in *" --crate-name panic_abort "*) exec "$@" -C panic=abort ;; esac\nexec "$@"\n' >"$work/wrap"
  chmod +x "$work/wrap"
  for triple in "$@"; do triples+=(--target "$triple"); done
  (
    cd "$work"
    # With bitcode, for link-time optimisation. The musl targets link no C library until a program is made of them.
    env -u CARGO_BUILD_TARGET RUSTC_BOOTSTRAP=1 RUSTC="$rust/bin/rustc" RUSTC_WRAPPER="$work/wrap" CARGO_TARGET_DIR="$work/target" \
      RUSTFLAGS="-C embed-bitcode=yes -C force-unwind-tables=yes" \
      cargo build -q --release "${triples[@]}" -Zbuild-std=std,test,panic_abort,panic_unwind,proc_macro \
      --offline --config 'source.crates-io.replace-with="std"' \
      --config "source.std.directory='$lib/src/rust/library/vendor'"
  )
  for triple in "$@"; do
    mkdir -p "$lib/$triple/lib"
    cp "$work/target/$triple"/release/deps/*.rlib "$lib/$triple/lib/"
    rm -f "$lib/$triple/lib"/libseed*
  done
  rm -rf "$work"
}

# Start files and libc.a of Debian's musl; start files and unwinder of the cross gcc.
musl_of_debian() {
  local apt work=$here/musl to gcc
  private_apt deb
  rm -rf "$work"
  mkdir -p "$work"
  (cd "$work" && apt-get "${apt[@]}" download musl-dev:arm64 && dpkg -x ./*.deb .)
  to=$(rustlib)/$musl/lib/self-contained
  gcc=$(dirname "$(aarch64-linux-gnu-gcc -print-libgcc-file-name)")
  mkdir -p "$to"
  cp "$work"/usr/lib/aarch64-linux-musl/{*.o,libc.a} "$gcc"/crt{begin,beginS,beginT,end,endS}.o "$to/"
  cp "$gcc/libgcc_eh.a" "$to/libunwind.a"
  aarch64-linux-gnu-gcc -O2 -fno-stack-protector -c "$root/packaging/cross/dl_find_object.c" -o "$work/dl_find_object.o"
  aarch64-linux-gnu-ar r "$to/libunwind.a" "$work/dl_find_object.o"
  rm -rf "$work"
}

# ARMv6 with hard float: Debian's C libraries for armhf are ARMv7 and die on a Pi 1 or Zero, so musl is compiled here.
musl_from_source() {
  local apt work=$here/musl to name
  local cc="arm-linux-gnueabihf-gcc -march=armv6+fp -mfloat-abi=hard -marm"
  private_apt "deb deb-src"
  rm -rf "$work"
  mkdir -p "$work"
  to=$(rustlib)/$armv6/lib/self-contained
  mkdir -p "$to"
  (
    cd "$work"
    apt-get "${apt[@]}" download libgcc-12-dev-armel-cross
    dpkg -x ./*.deb .
    apt-get "${apt[@]}" source --download-only musl
    tar -xzf musl_*.orig.tar.gz
    cd musl-*/
    CC=$cc CROSS_COMPILE=arm-linux-gnueabihf- ./configure --target=arm-linux-musleabihf --disable-shared >/dev/null
    make -j"$(nproc)" >/dev/null 2>&1
    cp lib/*.o lib/libc.a "$to/"
    # Empty ones: those of the armhf gcc are Thumb-2.
    echo >empty.c
    for name in crtbegin crtbeginS crtbeginT crtend crtendS; do $cc -c empty.c -o "$to/$name.o"; done
  )
  # The armel unwinder is plain ARM code; without the section that says soft float the linker takes it beside hard float.
  arm-linux-gnueabihf-objcopy -R .ARM.attributes "$work"/usr/lib/gcc-cross/arm-linux-gnueabi/12/libgcc_eh.a "$to/libunwind.a"
  rm -rf "$work"
}
