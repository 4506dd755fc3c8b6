//! The device itself. One thread keeps it streaming and holds the newest frame.

use super::super::backoff::Backoff;
use super::super::config::Common;
use super::super::latest::Latest;
use super::super::picture::{Developer, RawShape, captured};
use super::super::{CameraError, Captured, FrameSource, Stop};
use super::V4l2Config;
use super::choice::{Choice, Offer, Sizes, choose, layout};
use crate::guard::guarded;
use linuxvideo::format::{FrameSizes, PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked for a frame: cameras have at most 60 a second, and the crate has no call that waits for a limited time.
const LOOK: Duration = Duration::from_millis(10);

/// A frame and, if it is raw, its shape.
type Frame = (Vec<u8>, Option<RawShape>);

/// The source. The device is opened when the first frame is asked for.
pub struct Camera {
    latest: Arc<Latest<Frame>>,
    reader: Option<Reader>,
    thread: Option<JoinHandle<()>>,
    developer: Developer,
    max_age: Duration,
    name: String,
}

impl Camera {
    pub fn open(config: &V4l2Config, common: &Common) -> Camera {
        let latest = Arc::<Latest<Frame>>::default();
        let name = format!("camera {}", config.device.display());
        let reader = Reader {
            config: config.clone(),
            latest: latest.clone(),
            backoff: Backoff::new(common.backoff_min_ms, common.backoff_max_ms),
            timeout: Duration::from_millis(common.timeout_ms),
            most: common.max_bytes,
            name: name.clone(),
        };
        let max_age = Duration::from_millis(common.max_age_ms);
        Camera { latest, reader: Some(reader), thread: None, developer: Developer::new(common), max_age, name }
    }
}

impl FrameSource for Camera {
    fn next(&mut self, timeout: Duration, stop: &Stop) -> Result<Captured, CameraError> {
        if let Some(reader) = self.reader.take() {
            let name = reader.name.clone();
            match std::thread::Builder::new().name("v4l2".into()).spawn(move || reader.run()) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => {
                    return Err(failed(&name, &format!("no thread could be started ({error})"), "free memory"));
                }
            }
        }
        let frame = self.latest.take(timeout, self.max_age, stop, || CameraError::Timeout {
            source_name: self.name.clone(),
            waited_ms: timeout.as_millis() as u64,
            mend: "check the camera's cable, or raise timeout_ms".into(),
        })?;
        let (bytes, shape) = &frame.frame;
        let picture = match shape {
            Some(shape) => self.developer.raw(&self.name, bytes, shape)?,
            None => self.developer.encoded(&self.name, bytes)?,
        };
        Ok(captured(picture, frame.at, format!("{} frame {}", self.name, frame.number)))
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.latest.close();
        // It looks every few milliseconds; so the device is free when this returns, unless the kernel holds the thread.
        let end = Instant::now() + Duration::from_secs(1);
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() && Instant::now() < end {
                std::thread::sleep(LOOK);
            }
        }
    }
}

fn failed(name: &str, reason: &str, mend: &str) -> CameraError {
    CameraError::Failed { source_name: name.into(), reason: reason.into(), mend: mend.into() }
}

/// What the thread does.
struct Reader {
    config: V4l2Config,
    latest: Arc<Latest<Frame>>,
    backoff: Backoff,
    timeout: Duration,
    most: u64,
    name: String,
}

impl Reader {
    fn run(mut self) {
        while !self.latest.is_closed() {
            // The crate asserts what drivers promise.
            let ended = guarded(|| self.session()).unwrap_or_else(|_| {
                Err(failed(&self.name, "its driver breaks the rules of V4L2", "try another kernel"))
            });
            if let Err(error) = ended {
                self.latest.fail(error);
                let pause = self.backoff.failed(Instant::now());
                self.latest.pause(pause);
            }
        }
    }

    /// From opening to the first failure, or until nobody wants frames any more.
    fn session(&mut self) -> Result<(), CameraError> {
        let (mut stream, shape) = self.start()?;
        let (mut last, mut skip) = (Instant::now(), self.config.warm_up_frames);
        while !self.latest.is_closed() {
            if stream.will_block().map_err(|e| self.explain(&e))? {
                if last.elapsed() > self.timeout {
                    return Err(CameraError::Timeout {
                        source_name: self.name.clone(),
                        waited_ms: self.timeout.as_millis() as u64,
                        mend: "it is opened anew; check its cable and power if this goes on".into(),
                    });
                }
                self.latest.pause(LOOK);
                continue;
            }
            let most = self.most;
            let frame = stream.dequeue(|view| {
                let usable = !view.is_error() && !view.is_empty() && view.len() as u64 <= most;
                Ok(usable.then(|| view.to_vec()))
            });
            // A frame that the driver calls broken is no sign of life.
            if let Some(frame) = frame.map_err(|e| self.explain(&e))? {
                last = Instant::now();
                self.backoff.succeeded();
                match skip {
                    0 => self.latest.put((frame, shape)),
                    _ => skip -= 1,
                }
            }
        }
        Ok(())
    }

    /// Opens the device and starts it.
    fn start(&self) -> Result<(ReadStream, Option<RawShape>), CameraError> {
        let wrong = |reason: String, mend: &str| failed(&self.name, &reason, mend);
        let device = Device::open(&self.config.device).map_err(|e| self.explain(&e))?;
        let offers = offers(&device).map_err(|e| self.explain(&e))?;
        let Choice { fourcc, width, height } =
            choose(&offers, self.config.format, self.config.width_px, self.config.height_px)
                .map_err(|reason| wrong(reason, "choose another format or device"))?;
        let asked = PixFormat::new(width, height, PixelFormat::from_fourcc(fourcc));
        let capture = device.video_capture(asked).map_err(|e| self.explain(&e))?;
        // The driver may have chosen otherwise.
        let got = capture.format();
        let layout = layout(got.pixel_format().as_fourcc()).map_err(|reason| wrong(reason, "choose another format"))?;
        let (width, height) = (got.width() as usize, got.height() as usize);
        let shape = layout
            .map(|layout| {
                let row = layout.row_bytes(width).unwrap_or(usize::MAX);
                // Some drivers leave the length of a row at 0.
                let stride = row.max(got.bytes_per_line() as usize);
                let bytes = (stride as u64).saturating_mul(height as u64);
                match bytes <= self.most {
                    true => Ok(RawShape { layout, range: self.config.range, width, height, stride }),
                    false => Err(wrong(
                        format!("its frames of {width}x{height} pixels have {bytes} bytes"),
                        "make width_px and height_px smaller or raise max_bytes",
                    )),
                }
            })
            .transpose()?;
        log::info!("{}: {width}x{height} {}", self.name, got.pixel_format());
        let stream = capture.into_stream().map_err(|e| self.explain(&e))?;
        Ok((stream, shape))
    }

    fn explain(&self, error: &io::Error) -> CameraError {
        // Numbers of errno.h, which std has no kinds for.
        const EBUSY: i32 = 16;
        const ENODEV: i32 = 19;
        let (reason, mend) = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) => {
                ("the device does not exist".to_owned(), "plug the camera in, or check device")
            }
            (io::ErrorKind::PermissionDenied, _) => {
                ("this user may not use the device".to_owned(), "add the user to the group video")
            }
            (_, Some(EBUSY)) => ("another program uses it".to_owned(), "end that program"),
            (_, Some(ENODEV)) => ("it is gone".to_owned(), "plug the camera in again"),
            _ => (format!("the system reports '{error}'"), "check that device is a camera"),
        };
        failed(&self.name, &reason, mend)
    }
}

/// What the camera has.
fn offers(device: &Device) -> io::Result<Vec<Offer>> {
    let mut offers = Vec::new();
    // Drivers have a handful; one that never ends its list is broken.
    for format in device.formats(BufType::VIDEO_CAPTURE).take(64) {
        let format = format?.pixel_format();
        let sizes = match device.frame_sizes(format) {
            Ok(FrameSizes::Discrete(sizes)) => Sizes::Some(sizes.iter().map(|s| (s.width(), s.height())).collect()),
            Ok(FrameSizes::Stepwise(s) | FrameSizes::Continuous(s)) => Sizes::Range(
                (s.min_width(), s.min_height()),
                (s.max_width(), s.max_height()),
                (s.step_width(), s.step_height()),
            ),
            // Not every driver tells.
            Err(_) => Sizes::Some(Vec::new()),
        };
        offers.push(Offer { fourcc: format.as_fourcc(), sizes });
    }
    Ok(offers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_none_is_a_failure_that_is_told() {
        for (device, word) in
            [("/no/such/device", "does not exist; plug the camera in"), ("/dev/null", "check that device is a camera")]
        {
            let config = V4l2Config { device: device.into(), ..V4l2Config::default() };
            let common = Common { backoff_min_ms: 10, backoff_max_ms: 20, ..Common::default() };
            let mut camera = Camera::open(&config, &common);
            let said = camera.next(Duration::from_secs(20), &Stop::default()).err().unwrap().to_string();
            assert!(said.contains(device) && said.contains(word), "{said}");
        }
    }
}
