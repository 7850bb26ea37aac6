//! Real browsers: Debian's Chromium and Firefox, driven over WebDriver.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};
use thirtyfour::error::{WebDriverError, WebDriverResult};
use thirtyfour::session::http::{Body, HttpClient};
use thirtyfour::{By, Capabilities, Key, WebDriver, WebElement};
use tokio::runtime::Runtime;
use ureq::http::{Request, Response};

use super::{DEADLINE, skip, within};

/// How often the page is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// Of 100.
const WEBP_QUALITY: u8 = 85;

/// A window of Chromium is no narrower; a telephone is.
const NARROWEST: u32 = 500;

/// A screen of 4K, and the height of the others.
pub const WIDEST: u32 = 3840;
const HEIGHTS: [u32; 2] = [2160, 900];

/// What one may be looking through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of this width in pixels; a narrow one is a telephone.
    Chromium(u32),
    Firefox,
}

/// A browser with one page, without a past.
pub struct Browser {
    runtime: Runtime,
    driver: Option<WebDriver>,
    process: Child,
    /// Where the driver listens.
    port: u16,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser; `None`, after [`skip`], where it or its driver is not installed.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(kind: Kind) -> Option<Self> {
        let (program, browser) = match kind {
            Kind::Chromium(_) => (found("chromedriver")?, found("chromium")?),
            Kind::Firefox => (found("geckodriver")?, found("firefox-esr")?),
        };
        let profile = tempfile::Builder::new().prefix("browser-").tempdir().expect("a directory");
        let mut process = Command::new(program)
            .arg("--port=0")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a driver that is there runs");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| port_in(&line));
        let port = port.expect("the driver says its port");
        std::thread::spawn(move || lines.for_each(drop));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let connecting = async {
            let url = format!("http://127.0.0.1:{port}");
            let capabilities = capabilities(kind, &browser);
            WebDriver::builder(url, capabilities).client(Wire::new()).connect().await
        };
        let driver = runtime.block_on(connecting).expect("the browser starts");
        Some(Browser { runtime, driver: Some(driver), process, port, _profile: profile })
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("it is there until it is dropped")
    }

    fn run<T>(&self, what: &str, work: impl Future<Output = WebDriverResult<T>>) -> T {
        self.runtime.block_on(work).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    pub fn open(&self, url: &str) {
        self.run(url, self.driver().goto(url));
    }

    pub fn reload(&self) {
        self.run("reload", self.driver().refresh());
    }

    /// Runs a script in the page; it gives what it returns.
    pub fn script(&self, script: &str) -> Value {
        let running = async { Ok(self.driver().execute(script, vec![]).await?.json().clone()) };
        self.run(script, running)
    }

    /// Runs a script that calls its last argument with what it gives.
    pub fn script_later(&self, script: &str) -> Value {
        let running =
            async { Ok(self.driver().execute_async(script, vec![]).await?.json().clone()) };
        self.run(script, running)
    }

    /// Waits until an expression of the page is true, and gives its value.
    ///
    /// # Panics
    /// When it does not become so, with what the page shows.
    #[track_caller]
    pub fn until(&self, expression: &str) -> Value {
        let script = format!("try {{ return {expression}; }} catch {{ return null; }}");
        let is_true = |value: &Value| {
            !matches!(value, Value::Null | Value::Bool(false))
                && *value != json!("")
                && *value != json!(0)
        };
        let look = || Some(self.script(&script)).filter(is_true);
        within(DEADLINE, LOOK, look).unwrap_or_else(|| {
            let shown = self.script("return document.body.innerText");
            panic!("not within {DEADLINE:?}: {expression}\n{}", shown.as_str().unwrap_or_default())
        })
    }

    /// Waits until an element is shown whose text contains this.
    #[track_caller]
    pub fn shows(&self, css: &str, text: &str) {
        let (css, text) = (json!(css), json!(text));
        self.until(&format!(
            "[...document.querySelectorAll({css})].some((one) => one.checkVisibility() && \
             one.innerText.includes({text}))"
        ));
    }

    fn element(&self, css: &str) -> WebElement {
        self.until(&format!("document.querySelector({})", json!(css)));
        self.run(css, self.driver().find(By::Css(css)))
    }

    pub fn click(&self, css: &str) {
        let element = self.element(css);
        self.run(css, element.click());
    }

    /// Clicks the first button or link with this label.
    #[track_caller]
    pub fn press(&self, label: &str) {
        let label = json!(label);
        let find = format!(
            "[...document.querySelectorAll('button, a')].find((one) => one.checkVisibility() && \
             (one.innerText.trim() === {label} || one.ariaLabel === {label}))"
        );
        self.until(&find);
        self.script(&format!("{find}.click()"));
    }

    /// Puts a text into a field in place of what it held.
    pub fn write(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.run(css, element.clear());
        self.run(css, element.send_keys(text));
    }

    /// Gives a field for files a file.
    pub fn choose_file(&self, css: &str, file: &Path) {
        let element = self.element(css);
        self.run(css, element.send_keys(file.display().to_string()));
    }

    /// Draws with the pointer over an element, through points in shares of its size.
    pub fn draw(&self, css: &str, points: &[(f64, f64)]) {
        let element = self.element(css);
        let drawing = async {
            let size = element.rect().await?;
            // WebDriver counts from the middle of an element.
            let place = |(x, y): (f64, f64)| {
                (((x - 0.5) * size.width) as i64, ((y - 0.5) * size.height) as i64)
            };
            let mut chain = self.driver().action_chain();
            for (number, point) in points.iter().enumerate() {
                let (x, y) = place(*point);
                chain = chain.move_to_element_with_offset(&element, x, y);
                chain = if number == 0 { chain.click_and_hold() } else { chain };
            }
            chain.release().perform().await
        };
        self.run(css, drawing);
    }

    /// Points at a place of an element, in shares of its size.
    pub fn point(&self, css: &str, (x, y): (f64, f64)) {
        let element = self.element(css);
        let pointing = async {
            let size = element.rect().await?;
            let (x, y) = (((x - 0.5) * size.width) as i64, ((y - 0.5) * size.height) as i64);
            let chain = self.driver().action_chain();
            chain.move_to_element_with_offset(&element, x, y).perform().await
        };
        self.run(css, pointing);
    }

    /// Chooses an entry of a list by its value, as a person does.
    pub fn select(&self, css: &str, value: &str) {
        let (css, value) = (json!(css), json!(value));
        self.until(&format!("document.querySelector({css})"));
        self.script(&format!(
            "const list = document.querySelector({css}); list.value = {value};\
             list.dispatchEvent(new Event('change', {{ bubbles: true }}))"
        ));
    }

    /// Drops a file of this name and content on an element.
    pub fn drop_file(&self, css: &str, name: &str, content: &str) {
        let (css, name, content) = (json!(css), json!(name), json!(content));
        self.until(&format!("document.querySelector({css})"));
        self.script(&format!(
            "const dataTransfer = new DataTransfer();\
             dataTransfer.items.add(new File([{content}], {name}));\
             const options = {{ bubbles: true, cancelable: true, dataTransfer }};\
             for (const kind of ['dragover', 'drop'])\
             document.querySelector({css}).dispatchEvent(new DragEvent(kind, options))"
        ));
    }

    /// Types into the page itself, where no field has the focus.
    pub fn key_to_page(&self, text: &str) {
        let body = self.element("body");
        self.run(text, body.send_keys(text));
    }

    /// Presses a key wherever the focus is.
    pub fn key(&self, key: Key) {
        let pressing = async { self.driver().active_element().await?.send_keys(key + "").await };
        self.run("a key", pressing);
    }

    /// Goes to the next control, as Tab does wherever the focus is.
    pub fn tab(&self) {
        let pressing = async {
            self.driver().action_chain().key_down(Key::Tab).key_up(Key::Tab).perform().await
        };
        self.run("Tab", pressing);
    }

    /// Presses keys together on an element.
    pub fn key_to(&self, css: &str, keys: impl Into<thirtyfour::TypingData>) {
        let element = self.element(css);
        self.run(css, element.send_keys(keys));
    }

    /// Keeps a picture of the page where CI wants it.
    #[allow(clippy::disallowed_methods, reason = "a test may look at where it runs")]
    pub fn picture(&self, name: &str) {
        let Some(directory) = std::env::var_os("TEST_SCREENSHOTS") else { return };
        std::fs::create_dir_all(&directory).expect("the directory can be made");
        let path = Path::new(&directory).join(format!("{name}.png"));
        self.run(name, self.driver().screenshot(&path));
    }

    /// Keeps a small picture of the page, WebP, in a file; Chromium alone makes them.
    pub fn small_picture(&self, file: &Path) {
        let session = self.driver().session_id();
        let url = format!("http://127.0.0.1:{}/session/{session}/goog/cdp/execute", self.port);
        let wanted = json!({"format": "webp", "quality": WEBP_QUALITY});
        let command = json!({"cmd": "Page.captureScreenshot", "params": wanted});
        let mut answer = ureq::post(url).send_json(command).expect("Chromium takes a picture");
        let answer: Value = answer.body_mut().read_json().expect("JSON");
        let picture = answer["value"]["data"].as_str().expect("a picture in Base64");
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture).expect("Base64");
        std::fs::write(file, bytes).expect("the file can be written");
    }

    /// What axe-core finds wrong with the page, in a line each.
    pub fn faults(&self) -> Vec<String> {
        self.script(&axe());
        let found = self.script_later(
            "const done = arguments[arguments.length - 1];\
             axe.run().then(({ violations }) => done(violations.map((one) => \
             `${one.id}: ${one.nodes.map((node) => node.html).join(' | ')}`)), \
             (error) => done([String(error)]))",
        );
        let lines = found.as_array().expect("a list");
        lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            // A browser that does not end by itself ends with its driver.
            let _ = self.runtime.block_on(driver.quit());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn capabilities(kind: Kind, browser: &Path) -> Capabilities {
    let wanted = match kind {
        Kind::Firefox => json!({"browserName": "firefox", "moz:firefoxOptions": {
            "binary": browser, "args": ["-headless", "--width=1440", "--height=900"]}}),
        Kind::Chromium(width) => {
            // CI runs as root, where Chromium has no sandbox; the pages are all our own.
            let arguments = [
                "--headless=new".to_owned(),
                "--no-sandbox".to_owned(),
                "--disable-gpu".to_owned(),
                "--disable-dev-shm-usage".to_owned(),
                format!("--window-size={width},{}", HEIGHTS[usize::from(width < WIDEST)]),
            ];
            let mut options = json!({"binary": browser, "args": arguments});
            if width < NARROWEST {
                let metrics =
                    json!({"width": width, "height": 780, "pixelRatio": 1, "touch": true});
                options["mobileEmulation"] = json!({"deviceMetrics": metrics});
            }
            json!({"browserName": "chrome", "goog:chromeOptions": options})
        }
    };
    Capabilities::from(wanted.as_object().expect("an object").clone())
}

fn port_in(line: &str) -> Option<u16> {
    let after = line.split_once("on port ").or_else(|| line.split_once("127.0.0.1:"))?.1;
    // Chromium's first line names the port that it was asked for: any, 0.
    after.trim_end_matches('.').trim().parse().ok().filter(|port| *port != 0)
}

/// Where `tests/browser/prepare` puts what Debian has not.
#[allow(clippy::disallowed_methods, reason = "a test may look at where it runs")]
fn prepared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(std::env::var_os("TEST_BROWSER")?).join(path);
    file.exists().then_some(file)
}

fn axe() -> String {
    let file = prepared("node_modules/axe-core/axe.min.js");
    let file = file.expect("tests/browser/prepare fetched axe-core");
    std::fs::read_to_string(file).expect("it is text")
}

fn found(program: &str) -> Option<PathBuf> {
    let debian = PathBuf::from("/usr/bin").join(program);
    let found = prepared(&format!("bin/{program}")).or(debian.exists().then_some(debian));
    if found.is_none() {
        skip(&format!("there is no {program}: tests/browser/prepare installs it"));
    }
    found
}

/// WebDriver's requests, one at a time.
struct Wire(ureq::Agent);

impl Wire {
    fn new() -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Wire(config.timeout_global(Some(DEADLINE)).build().new_agent())
    }

    fn send(&self, request: Request<Body<'_>>) -> WebDriverResult<Response<bytes::Bytes>> {
        let failed = |error: ureq::Error| WebDriverError::HttpError(error.to_string());
        let request = request.map(|body| match body {
            Body::Empty => String::new(),
            Body::Json(value) => value.to_string(),
        });
        let (parts, mut body) = self.0.run(request).map_err(failed)?.into_parts();
        let body = body.read_to_vec().map_err(failed)?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

/// A future in a box, as the trait has it.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl HttpClient for Wire {
    fn send<'me, 'body, 'all>(
        &'me self,
        request: Request<Body<'body>>,
    ) -> Boxed<'all, WebDriverResult<Response<bytes::Bytes>>>
    where
        'me: 'all,
        'body: 'all,
        Self: 'all,
    {
        Box::pin(async move { self.send(request) })
    }

    fn new<'me, 'all>(&'me self) -> Boxed<'all, Arc<dyn HttpClient>>
    where
        'me: 'all,
        Self: 'all,
    {
        Box::pin(async { Arc::new(Wire::new()) as Arc<dyn HttpClient> })
    }
}
