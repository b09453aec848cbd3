//! The recipe: download, unpack, build two kernel modules, arrange a root, write a disk.
//!
//! Nothing is installed and no maintainer script runs: packages are unpacked into a folder. Packages stay in `packages/` of the
//! cache, so another recipe does not download them again. On any error the half-made folder stays, for a look, without its `done` mark.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::Archive;
use super::packages::{Inputs, lines};
use crate::command::output;
use crate::error::{AtPath, Result, RigError};

/// Size of the root file system, mebibytes. Sparse on the host; room for journals and state of the agent.
const ROOT_MIB: u32 = 512;
/// Documentation and translations nobody reads in the guest.
const LEFT_OUT: [&str; 5] = [
    "./usr/share/doc",
    "./usr/share/locale",
    "./usr/share/man",
    "./usr/share/info",
    "./usr/lib/udev/hwdb.d",
];
/// tmpfiles of the distribution that the guest keeps; under emulation each costs boot time.
const TMPFILES_KEPT: [&str; 3] = ["static-nodes-permissions.conf", "systemd.conf", "var.conf"];

/// Builds everything into `directory`.
pub(super) fn build(inputs: &Inputs, directory: &Path, say: &mut dyn FnMut(&str)) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).at("cannot clear", directory)?;
    }
    let (kernel, root) = (directory.join("kernel"), directory.join("root"));
    let packages = directory.with_file_name("packages");
    for folder in [&kernel, &root, &packages] {
        fs::create_dir_all(folder).at("cannot make", folder)?;
    }

    say(&format!(
        "downloading {} packages",
        inputs.kernel.len() + inputs.root.len()
    ));
    let kernel_packages = download(&inputs.kernel, &packages)?;
    let root_packages = download(&inputs.root, &packages)?;

    say("unpacking the kernel and building gpio-virtio and i2c-virtio");
    for package in &kernel_packages {
        unpack(package, &kernel, &[])?;
    }
    build_modules(inputs, directory, &kernel)?;

    say("arranging the root file system");
    merged_usr(&root)?;
    for package in &root_packages {
        unpack(package, &root, &LEFT_OUT)?;
    }
    arrange(inputs, &root)?;
    let early = copy_modules(inputs, &kernel, &root)?;

    say("writing the disk");
    write_initramfs(inputs, directory, &root, &early)?;
    let vmlinuz = kernel.join(format!("boot/vmlinuz-{}", inputs.release));
    unpack_kernel(&vmlinuz, directory)?;
    write_disk(directory, &root)?;

    for folder in [&kernel, &root] {
        fs::remove_dir_all(folder).at("cannot remove", folder)?;
    }
    fs::write(directory.join("done"), "").at("cannot mark", directory)
}

/// Fetches what is not in the cache yet. The paths, in the order asked.
fn download(wanted: &[String], packages: &Path) -> Result<Vec<PathBuf>> {
    let present = || -> Result<BTreeSet<String>> {
        let entries = fs::read_dir(packages).at("cannot list", packages)?;
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect())
    };
    // apt writes name_version_architecture.deb, with the epoch's colon as %3a.
    let prefix = |package: &String| package.replace('=', "_").replace(':', "%3a") + "_";
    let find = |have: &BTreeSet<String>, package: &String| {
        have.iter()
            .find(|name| name.starts_with(&prefix(package)))
            .cloned()
    };

    let have = present()?;
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|package| find(&have, package).is_none())
        .collect();
    if !missing.is_empty() {
        output(
            Command::new("apt-get")
                .args(["-q", "download"])
                .args(&missing)
                .current_dir(packages),
        )?;
    }
    let have = present()?;
    let path = |package: &String| {
        let name = find(&have, package).ok_or_else(|| {
            RigError::Input(format!(
                "apt-get downloaded no {package} to {}",
                packages.display()
            ))
        })?;
        Ok(packages.join(name))
    };
    wanted.iter().map(path).collect()
}

/// `dpkg -x`, but /bin and its like stay links into /usr.
fn unpack(package: &Path, to: &Path, left_out: &[&str]) -> Result<()> {
    let excludes = left_out
        .iter()
        .map(|path| format!("--exclude={path}"))
        .collect::<Vec<_>>()
        .join(" ");
    let script = format!(
        "dpkg-deb --fsys-tarfile \"$0\" | tar -x --keep-directory-symlink -C \"$1\" {excludes}"
    );
    output(
        Command::new("bash")
            .args(["-o", "pipefail", "-c", &script])
            .arg(package)
            .arg(to),
    )
    .map(drop)
}

/// Debian's kernel leaves these two drivers out; their mainline source builds outside the tree.
fn build_modules(inputs: &Inputs, directory: &Path, kernel: &Path) -> Result<()> {
    let sources = directory.join("modules");
    fs::create_dir_all(&sources).at("cannot make", &sources)?;
    let archive = kernel.join("usr/src/linux-source-6.12.tar.xz");
    let drivers = [
        "drivers/gpio/gpio-virtio.c",
        "drivers/i2c/busses/i2c-virtio.c",
    ]
    .map(|path| format!("linux-source-6.12/{path}"));
    output(
        Command::new("tar")
            .arg("-xJf")
            .arg(&archive)
            .arg("-C")
            .arg(&sources)
            .args(["--transform", "s,.*/,,"])
            .args(&drivers),
    )?;
    fs::write(
        sources.join("Makefile"),
        "obj-m += gpio-virtio.o i2c-virtio.o\n",
    )
    .at("cannot write in", &sources)?;

    // The headers name their other half by its installed path.
    let headers = kernel.join(format!("usr/src/linux-headers-{}", inputs.release));
    let makefile = headers.join("Makefile");
    let installed = fs::read_to_string(&makefile).at("cannot read", &makefile)?;
    let moved = installed.replace("/usr/src/", &format!("{}/usr/src/", kernel.display()));
    fs::write(&makefile, moved).at("cannot write", &makefile)?;
    let at = |name: &str, path: &Path| format!("{name}{}", path.display());
    // No BTF: it would need pahole, and nothing here traces these modules.
    output(Command::new("make").args([
        at("-C", &headers),
        at("M=", &sources),
        "CONFIG_DEBUG_INFO_BTF_MODULES=".into(),
        "modules".into(),
    ]))?;

    let extra = module_folder(kernel, &inputs.release).join("extra");
    fs::create_dir_all(&extra).at("cannot make", &extra)?;
    for name in ["gpio-virtio.ko", "i2c-virtio.ko"] {
        output(
            Command::new("strip")
                .arg("--strip-debug")
                .arg("-o")
                .arg(extra.join(name))
                .arg(sources.join(name)),
        )?;
    }
    output(
        Command::new("depmod")
            .arg("-b")
            .arg(kernel)
            .arg(&inputs.release),
    )
    .map(drop)
}

fn module_folder(root: &Path, release: &str) -> PathBuf {
    root.join("lib/modules").join(release)
}

fn merged_usr(root: &Path) -> Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        let folder = root.join("usr").join(name);
        fs::create_dir_all(&folder).at("cannot make", &folder)?;
        symlink(format!("usr/{name}"), root.join(name)).at("cannot link", root.join(name))?;
    }
    Ok(())
}

/// The rig's own files over the distribution's, and less of the distribution.
fn arrange(inputs: &Inputs, root: &Path) -> Result<()> {
    output(
        Command::new("cp")
            .arg("-a")
            .arg("--no-preserve=ownership")
            .arg(inputs.sources.join("root/."))
            .arg(root),
    )?;
    for unit in lines(&inputs.sources.join("masked-units.txt"))? {
        let path = root.join("etc/systemd/system").join(unit);
        symlink("/dev/null", &path).at("cannot mask", path)?;
    }
    let rules: BTreeSet<_> = lines(&inputs.sources.join("udev-rules.txt"))?
        .into_iter()
        .collect();
    keep_only(&root.join("usr/lib/udev/rules.d"), |name| {
        rules.contains(name)
    })?;
    keep_only(&root.join("usr/lib/tmpfiles.d"), |name| {
        TMPFILES_KEPT.contains(&name)
    })?;
    // Two seconds of every boot under emulation, for mounts and consoles that the guest does not have.
    keep_only(&root.join("usr/lib/systemd/system-generators"), |_| false)?;
    output(Command::new("ldconfig").arg("-r").arg(root)).map(drop)
}

fn keep_only(folder: &Path, keep: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(folder).at("cannot list", folder)? {
        let entry = entry.at("cannot list", folder)?;
        if !keep(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).at("cannot remove", entry.path())?;
        }
    }
    Ok(())
}

/// Copies the listed modules and what they need, uncompressed: the guest would spend its time on it.
/// Returns those of the initramfs, in the order of loading.
fn copy_modules(inputs: &Inputs, kernel: &Path, root: &Path) -> Result<Vec<String>> {
    let (from, to) = (
        module_folder(kernel, &inputs.release),
        module_folder(root, &inputs.release),
    );
    fs::create_dir_all(&to).at("cannot make", &to)?;
    for name in [
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ] {
        fs::copy(from.join(name), to.join(name)).at("cannot copy", from.join(name))?;
    }
    let index = from.join("modules.dep");
    let index = fs::read_to_string(&index).at("cannot read", index)?;
    let mut early = Vec::new();
    for line in lines(&inputs.sources.join("modules.txt"))? {
        let (stage, name) = line.split_once(' ').ok_or_else(|| {
            RigError::Input(format!(
                "guest/modules.txt: `{line}`: expected `root NAME` or `initramfs NAME`"
            ))
        })?;
        for path in with_dependencies(&index, name)? {
            let plain = path.trim_end_matches(".xz");
            let target = to.join(plain);
            if !target.exists() {
                copy_module(&from.join(&path), &target)?;
            }
            if stage == "initramfs" && !early.iter().any(|have| have == plain) {
                early.push(plain.to_owned());
            }
        }
    }
    output(
        Command::new("depmod")
            .arg("-b")
            .arg(root)
            .arg(&inputs.release),
    )?;
    Ok(early)
}

/// Paths of `name` and of what it needs, what is needed first.
fn with_dependencies(index: &str, name: &str) -> Result<Vec<String>> {
    let is_it = |path: &str| {
        path.rsplit('/')
            .next()
            .is_some_and(|file| file.trim_end_matches(".xz") == format!("{name}.ko"))
    };
    let line = index
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(path, _)| is_it(path));
    let (path, needs) = line.ok_or_else(|| {
        RigError::Input(format!(
            "guest/modules.txt: the guest's kernel has no module {name}"
        ))
    })?;
    let mut paths: Vec<String> = needs.split_whitespace().rev().map(str::to_owned).collect();
    paths.push(path.to_owned());
    Ok(paths)
}

fn copy_module(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).at("cannot make", folder)?;
    }
    if from.extension().is_none_or(|extension| extension != "xz") {
        return fs::copy(from, to).map(drop).at("cannot copy", from);
    }
    // Without its signature, which the kernel would check at each load; unsigned modules are allowed.
    let script = "xz -dc \"$0\" > \"$1\" && strip --strip-debug \"$1\"";
    output(Command::new("bash").args(["-c", script]).arg(from).arg(to)).map(drop)
}

fn write_initramfs(inputs: &Inputs, directory: &Path, root: &Path, early: &[String]) -> Result<()> {
    let read = |path: PathBuf| fs::read(&path).at("cannot read", path);
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "modules", "root"] {
        archive.directory(folder);
    }
    archive.file("init", &read(inputs.sources.join("initramfs/init"))?);
    archive.file("bin/busybox", &read(root.join("bin/busybox"))?);
    let mut order = String::new();
    for path in early {
        let name = path.rsplit('/').next().unwrap_or(path);
        archive.file(
            &format!("modules/{name}"),
            &read(module_folder(root, &inputs.release).join(path))?,
        );
        order += &format!("{name}\n");
    }
    archive.file("modules/order", order.as_bytes());
    let path = directory.join("initramfs");
    fs::write(&path, archive.finish()).at("cannot write", path)
}

/// Takes the kernel out of its self-extracting wrapper. Under emulation the wrapper costs two seconds at power-on and,
/// because it then overwrites translated code, some twenty-five after each reset.
fn unpack_kernel(vmlinuz: &Path, directory: &Path) -> Result<()> {
    let image = fs::read(vmlinuz).at("cannot read", vmlinuz)?;
    let payload = payload(&image).ok_or_else(|| {
        RigError::Input(format!(
            "{}: not a bzImage with a zstd payload",
            vmlinuz.display()
        ))
    })?;
    let packed = directory.join("vmlinux.zst");
    fs::write(&packed, payload).at("cannot write", &packed)?;
    output(Command::new("zstd").args(["-dqf", "--rm"]).arg(&packed)).map(drop)
}

/// The compressed kernel inside a bzImage (boot protocol 2.08: `setup_sects`, `payload_offset`, `payload_length`).
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word =
        |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    let setup = (usize::from(*image.get(0x1f1)?) + 1) * 512;
    let start = setup + word(0x248)?;
    // The last four bytes are the unpacked length.
    let payload = image.get(start..start + word(0x24c)?.checked_sub(4)?)?;
    payload
        .starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        .then_some(payload)
}

fn write_disk(directory: &Path, root: &Path) -> Result<()> {
    let disk = directory.join("root.img");
    // Plain ext4: features that need more of the guest's processor buy nothing on a disk that lives for one scenario.
    let options = [
        "-q",
        "-F",
        "-t",
        "ext4",
        "-O",
        "^metadata_csum,^64bit",
        "-m",
        "0",
        "-E",
        "root_owner=0:0",
        "-d",
    ];
    output(
        Command::new("mke2fs")
            .args(options)
            .arg(root)
            .arg(&disk)
            .arg(format!("{ROOT_MIB}M")),
    )
    .map(drop)
}
