//! The device itself. One thread keeps it streaming and holds the newest frame.

use super::super::config::Common;
use super::super::frame_decoder::{FrameDecoder, RawShape, captured};
use super::super::latest_frame::LatestFrame;
use super::super::pixels::Layout;
use super::super::retry_state::retry;
use super::super::{CameraError, Captured, FrameSource, Shutdown};
use super::V4l2Config;
use super::choice::{Choice, choose, layout};
use super::stream::{Stream, offers};
use crate::util::latch::Latch;
use crate::util::retry::Retry;
use edge_ocr::panics::catch_panic;
use linuxvideo::Device;
use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for the device to be free.
const RELEASE: Duration = Duration::from_secs(1);

/// A frame and, if it is raw, its shape.
type Frame = (Vec<u8>, Option<RawShape>);

/// The source. The device is opened when the first frame is asked for.
pub struct Camera {
    latest: Arc<LatestFrame<Frame>>,
    reader: Option<Reader>,
    /// Set when the thread has ended, once there is one.
    ended: Option<Latch>,
    decoder: FrameDecoder,
    max_age: Duration,
    name: String,
}

impl Camera {
    pub fn open(config: &V4l2Config, common: &Common) -> Camera {
        let latest = Arc::<LatestFrame<Frame>>::default();
        let reader = Reader::new(config, common, latest.clone());
        let (name, max_age) = (reader.name.clone(), Duration::from_millis(common.max_age_ms));
        Camera { latest, reader: Some(reader), ended: None, decoder: FrameDecoder::new(common), max_age, name }
    }
}

impl FrameSource for Camera {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        if let Some(reader) = self.reader.take() {
            let name = reader.name.clone();
            let ended = Latch::default();
            let end = ended.clone();
            let work = move || {
                reader.run();
                end.set();
            };
            match std::thread::Builder::new().name("v4l2".into()).spawn(work) {
                Ok(_) => self.ended = Some(ended),
                Err(error) => {
                    return Err(failed(&name, &format!("no thread could be started ({error})"), "free memory"));
                }
            }
        }
        let frame = self.latest.take(timeout, self.max_age, stop, || CameraError::Timeout {
            source_name: self.name.clone(),
            waited_ms: timeout.as_millis() as u64,
            remedy: "check the camera's cable, or raise timeout_ms".into(),
        })?;
        let (bytes, shape) = &frame.frame;
        let image = match shape {
            Some(shape) => self.decoder.raw(&self.name, bytes, shape)?,
            None => self.decoder.decode(&self.name, bytes)?,
        };
        Ok(captured(image, frame.at, format!("{} frame {}", self.name, frame.number)))
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.latest.close();
        // So the device is free when this returns, unless the kernel holds the thread.
        if let Some(ended) = &self.ended {
            ended.wait(Instant::now() + RELEASE);
        }
    }
}

fn failed(name: &str, reason: &str, remedy: &str) -> CameraError {
    CameraError::Failed { source_name: name.into(), reason: reason.into(), remedy: remedy.into() }
}

/// What the thread does.
struct Reader {
    config: V4l2Config,
    latest: Arc<LatestFrame<Frame>>,
    retry: Retry,
    timeout: Duration,
    max_bytes: u64,
    name: String,
}

impl Reader {
    fn new(config: &V4l2Config, common: &Common, latest: Arc<LatestFrame<Frame>>) -> Reader {
        Reader {
            config: config.clone(),
            latest,
            retry: retry(common.backoff_min_ms, common.backoff_max_ms),
            timeout: Duration::from_millis(common.timeout_ms),
            max_bytes: common.max_bytes,
            name: format!("camera {}", config.device.display()),
        }
    }

    fn run(mut self) {
        while !self.latest.is_closed() {
            // The crate asserts what drivers promise.
            let ended = catch_panic(|| self.session()).unwrap_or_else(|_| {
                Err(failed(&self.name, "its driver breaks the rules of V4L2", "try another kernel"))
            });
            if let Err(error) = ended {
                self.latest.fail(error);
                let pause = self.retry.failed(Instant::now());
                self.latest.pause(pause);
            }
        }
    }

    /// From opening to the first failure, or until nobody wants frames any more.
    fn session(&mut self) -> Result<(), CameraError> {
        let (mut stream, shape) = self.start()?;
        self.pass_on(&mut stream, shape)
    }

    /// Hands on what the device sends.
    fn pass_on(&mut self, stream: &mut impl Stream, shape: Option<RawShape>) -> Result<(), CameraError> {
        let (mut last, mut skip) = (Instant::now(), self.config.warm_up_frames);
        while !self.latest.is_closed() {
            if !stream.has_frame().map_err(|e| self.explain(&e))? {
                if last.elapsed() >= self.timeout {
                    return Err(CameraError::Timeout {
                        source_name: self.name.clone(),
                        waited_ms: self.timeout.as_millis() as u64,
                        remedy: "it is reopened; check its cable and power if this goes on".into(),
                    });
                }
                stream.wait(self.latest.closed(), last + self.timeout).map_err(|e| self.explain(&e))?;
                continue;
            }
            // A frame that the driver calls broken is no sign of life.
            if let Some(frame) = stream.frame(self.max_bytes).map_err(|e| self.explain(&e))? {
                let frame = frame.map_err(|bytes| self.too_large(&format!("a frame has {bytes} bytes")))?;
                last = Instant::now();
                self.retry.succeeded();
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
        let wrong = |reason: String, remedy: &str| failed(&self.name, &reason, remedy);
        let elsewhere = "choose another format or device; a camera at a board's own connector needs kind = \"command\"";
        let device = Device::open(&self.config.device).map_err(|e| self.explain(&e))?;
        let offers = offers(&device).map_err(|e| self.explain(&e))?;
        let Choice { fourcc, width, height } =
            choose(&offers, self.config.format, self.config.width_px, self.config.height_px)
                .map_err(|reason| wrong(reason, elsewhere))?;
        let requested = PixFormat::new(width, height, PixelFormat::from_fourcc(fourcc));
        let capture = device.video_capture(requested).map_err(|e| self.explain(&e))?;
        // The driver may have chosen otherwise.
        let got = capture.format();
        let layout = layout(got.pixel_format().as_fourcc()).map_err(|reason| wrong(reason, "choose another format"))?;
        let shape = layout.map(|layout| self.shape(layout, got.width(), got.height(), got.bytes_per_line()));
        let shape = shape.transpose()?;
        log::info!("{}: {}x{} {}", self.name, got.width(), got.height(), got.pixel_format());
        let stream = capture.into_stream().map_err(|e| self.explain(&e))?;
        Ok((stream, shape))
    }

    /// How the raw frames lie that the driver has promised.
    fn shape(&self, layout: Layout, width: u32, height: u32, bytes_per_line: u32) -> Result<RawShape, CameraError> {
        let (width, height) = (width as usize, height as usize);
        let row = layout.row_bytes(width).unwrap_or(usize::MAX);
        // Some drivers leave the length of a row at 0.
        let stride = row.max(bytes_per_line as usize);
        let bytes = (stride as u64).saturating_mul(height as u64);
        match bytes <= self.max_bytes {
            true => Ok(RawShape { layout, range: self.config.range, width, height, stride }),
            false => Err(self.too_large(&format!("its frames of {width}x{height} pixels have {bytes} bytes"))),
        }
    }

    fn too_large(&self, reason: &str) -> CameraError {
        failed(&self.name, reason, "make width_px and height_px smaller or raise max_bytes")
    }

    fn explain(&self, error: &io::Error) -> CameraError {
        // Numbers of errno.h, which std has no kinds for.
        const EIO: i32 = 5;
        const ENXIO: i32 = 6;
        const EBUSY: i32 = 16;
        const ENODEV: i32 = 19;
        const ENOSPC: i32 = 28;
        const EPIPE: i32 = 32;
        const EPROTO: i32 = 71;
        const ETIMEDOUT: i32 = 110;
        let (reason, remedy) = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) => {
                ("the device does not exist".to_owned(), "plug the camera in, or check device")
            }
            (io::ErrorKind::PermissionDenied, _) => {
                ("this user may not use the device".to_owned(), "add the user to the group video")
            }
            (_, Some(EBUSY)) => ("another program uses it".to_owned(), "end that program"),
            (_, Some(ENODEV | ENXIO)) => ("it is gone".to_owned(), "plug the camera in again"),
            // What the USB host says when it has no bandwidth to give.
            (_, Some(ENOSPC)) => (
                "its USB bus has no room for these frames".to_owned(),
                "take format mjpeg, make width_px and height_px smaller, or use another port",
            ),
            (_, Some(EIO | EPIPE | EPROTO | ETIMEDOUT)) => {
                (format!("it does not answer ({error})"), "check its cable and power")
            }
            _ => (format!("the system reports '{error}'"), "check that device is a camera"),
        };
        failed(&self.name, &reason, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::Taken;
    use super::*;
    use std::collections::VecDeque;

    /// Gives what it was told to, then nothing more.
    struct Fake(VecDeque<Taken>);

    impl Stream for Fake {
        fn has_frame(&self) -> io::Result<bool> {
            Ok(!self.0.is_empty())
        }

        fn wait(&self, closed: &Latch, end: Instant) -> io::Result<()> {
            closed.wait(end);
            Ok(())
        }

        fn frame(&mut self, _: u64) -> Taken {
            self.0.pop_front().unwrap()
        }
    }

    fn reader(change: impl FnOnce(&mut V4l2Config, &mut Common)) -> Reader {
        let (mut config, mut common) = (V4l2Config { warm_up_frames: 2, ..V4l2Config::default() }, Common::default());
        common.timeout_ms = 30;
        change(&mut config, &mut common);
        Reader::new(&config, &common, Arc::default())
    }

    fn good(byte: u8) -> Taken {
        Ok(Some(Ok(vec![byte; 4])))
    }

    fn errno(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    /// What ends it, and the frame that is there then.
    fn ended(frames: Vec<Taken>) -> (String, Option<(u8, u64)>) {
        let mut reader = reader(|_, _| {});
        let said = reader.pass_on(&mut Fake(frames.into()), None).unwrap_err().to_string();
        let age = Duration::from_secs(60);
        let late = || CameraError::NothingNew { source_name: String::new() };
        let frame = reader.latest.take(Duration::ZERO, age, &Shutdown::default(), late);
        (said, frame.ok().map(|encoded| (encoded.frame.0[0], encoded.number)))
    }

    #[test]
    fn newest_frame_given_until_camera_unplugged() {
        let frames = vec![good(1), good(2), good(3), Ok(None), good(4), Err(errno(19))];
        let (said, frame) = ended(frames);
        assert!(said.contains("it is gone; plug the camera in again"), "{said}");
        assert_eq!(frame, Some((4, 2)), "after two to warm up");
    }

    #[test]
    fn silent_or_broken_camera_reopened() {
        for frames in [vec![], vec![good(1), good(2)], vec![Ok(None), Ok(None)]] {
            let (said, frame) = ended(frames);
            assert!(said.contains("no frame") && said.contains("reopened"), "{said}");
            assert_eq!(frame, None);
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_told() {
        let (said, _) = ended(vec![Ok(Some(Err(17_000_000)))]);
        assert!(said.contains("17000000 bytes") && said.contains("max_bytes"), "{said}");
    }

    #[test]
    fn what_the_system_says_is_explained() {
        let reader = reader(|_, _| {});
        for (number, part) in [
            (2, "plug the camera in, or check device"),
            (13, "group video"),
            (16, "another program uses it"),
            (19, "it is gone"),
            (6, "it is gone"),
            (28, "take format mjpeg"),
            (5, "check its cable and power"),
            (110, "check its cable and power"),
            (25, "check that device is a camera"),
        ] {
            let said = reader.explain(&errno(number)).to_string();
            assert!(said.contains(part) && said.contains("/dev/video0"), "{number}: {said}");
        }
    }

    #[test]
    fn rows_are_as_long_as_the_driver_says() {
        let reader = reader(|_, common| common.max_bytes = 100_000);
        let stride = |bytes_per_line| reader.shape(Layout::Yuyv, 160, 120, bytes_per_line).map(|shape| shape.stride);
        assert_eq!(stride(320).unwrap(), 320);
        assert_eq!(stride(384).unwrap(), 384, "padded");
        assert_eq!(stride(0).unwrap(), 320, "not told");
        assert!(stride(u32::MAX).unwrap_err().to_string().contains("max_bytes"));
        assert!(reader.shape(Layout::Grey, 1000, 101, 0).unwrap_err().to_string().contains("101000 bytes"));
        // The image is what was sent, without the padding.
        let shape = reader.shape(Layout::Yuyv, 2, 2, 6).unwrap();
        let bytes = [235, 128, 16, 128, 9, 9, 16, 128, 235, 128];
        let frame = FrameDecoder::new(&Common::default()).raw("x", &bytes, &shape).unwrap();
        assert_eq!(frame.image.as_raw(), [[255; 3], [0; 3], [0; 3], [255; 3]].as_flattened());
    }

    #[test]
    fn a_device_that_is_none_is_a_failure_that_is_told() {
        for (device, word) in
            [("/no/such/device", "does not exist; plug the camera in"), ("/dev/null", "check that device is a camera")]
        {
            let config = V4l2Config { device: device.into(), ..V4l2Config::default() };
            let common = Common { backoff_min_ms: 10, backoff_max_ms: 20, ..Common::default() };
            let mut camera = Camera::open(&config, &common);
            let said = camera.next(Duration::from_secs(20), &Shutdown::default()).err().unwrap().to_string();
            assert!(said.contains(device) && said.contains(word), "{said}");
        }
    }
}
