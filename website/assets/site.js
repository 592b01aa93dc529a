// The recording of a first run plays where a page has a place for it: <div class="recording" data-cast="…"></div>.
document.addEventListener("DOMContentLoaded", () => {
  for (const place of document.querySelectorAll(".recording[data-cast]")) {
    AsciinemaPlayer.create(place.dataset.cast, place, {
      idleTimeLimit: 2, preload: true, poster: "npt:0:20", fit: "width", terminalFontSize: "small", theme: "asciinema",
    });
  }
});
