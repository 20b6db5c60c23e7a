// Applies the theme chosen by the operator before the first paint. Kept apart
// from the page's bundle because the content security policy forbids inline scripts.
(function () {
  try {
    var theme = localStorage.getItem("detectd.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is blocked: follow the system's setting.
  }
})();
