# The web page of nst-serve: TypeScript and Vue, which npm and Vite make files of whose
# names change with what is in them. They are in share/nst/web, beside the other data; a
# release brings them as web/.
WEB_FILES = %D%/.npmrc %D%/.prettierignore %D%/.prettierrc.json %D%/eslint.config.js \
	%D%/index.html %D%/package-lock.json %D%/package.json %D%/tsconfig.json \
	%D%/vite.config.ts \
	%D%/src/App.vue %D%/src/main.css %D%/src/main.ts %D%/src/page.ts \
	%D%/src/theme.js %D%/src/worker.js \
	%D%/src/parts/BeforeAfter.vue %D%/src/parts/CameraDialog.vue \
	%D%/src/parts/CompareDialog.vue %D%/src/parts/CompareSlider.vue %D%/src/parts/ContentStep.vue \
	%D%/src/parts/EmptyStage.vue %D%/src/pictures/painted.jpg %D%/src/state/previews.ts \
	%D%/src/state/start.test.ts \
	%D%/src/parts/FaultNote.vue %D%/src/parts/GalleryGrid.vue %D%/src/parts/RenameDialog.vue \
	%D%/src/parts/GalleryTile.vue %D%/src/parts/GalleryTools.vue \
	%D%/src/parts/GalleryView.vue %D%/src/parts/Header.vue \
	%D%/src/parts/Icon.vue %D%/src/parts/LanguageSelect.vue \
	%D%/src/parts/LinkBanner.vue %D%/src/parts/LossChart.vue \
	%D%/src/parts/MaskDialog.vue %D%/src/parts/ProgressView.vue \
	%D%/src/parts/QualityFigures.vue %D%/src/parts/QueuePanel.vue \
	%D%/src/parts/RangeField.vue %D%/src/parts/ResultView.vue \
	%D%/src/parts/SelectionBar.vue %D%/src/parts/SettingsStep.vue %D%/src/parts/Sheet.vue %D%/src/parts/Stage.vue \
	%D%/src/parts/Stars.vue %D%/src/parts/StartBar.vue %D%/src/parts/StyleStep.vue \
	%D%/src/parts/Toasts.vue %D%/src/parts/TokenDialog.vue %D%/src/parts/Tour.vue \
	%D%/src/parts/DownloadDialog.vue %D%/src/parts/ShareDialog.vue \
	%D%/src/parts/UsageBars.vue \
	%D%/src/parts/ZoomDialog.vue %D%/src/pictures/icon-192.png %D%/src/pictures/icon-512.png \
	%D%/src/pictures/icon-maskable-512.png %D%/src/pictures/icon.svg %D%/src/pictures/sample.jpg \
	%D%/src/pictures/van-gogh.jpg %D%/src/state/api.ts %D%/src/state/chart.ts \
	%D%/src/state/deletion.ts %D%/src/state/draft.ts %D%/src/state/faults.ts %D%/src/state/gallery.test.ts \
	%D%/src/state/gallery.ts %D%/src/state/history.ts \
	%D%/src/state/i18n.ts %D%/src/state/link.ts %D%/src/state/masks.ts \
	%D%/src/state/pack.ts %D%/src/state/picture.ts %D%/src/state/pictures.test.ts %D%/src/state/prefs.ts %D%/src/state/quality.ts %D%/src/state/results.test.ts %D%/src/state/state.test.ts %D%/src/state/storage.ts \
	%D%/src/state/styles.ts %D%/src/state/tasks.ts %D%/src/state/tiles.ts %D%/src/state/toast.ts \
	%D%/src/state/upload.ts %D%/src/state/view.ts \
	%D%/src/parts/BatchPanel.vue %D%/src/parts/VariationsDialog.vue \
	%D%/src/state/batch.ts %D%/src/state/files.ts %D%/src/state/larger.ts %D%/src/state/lazy.ts %D%/src/state/play.test.ts \
	%D%/src/state/png.ts %D%/src/state/presets.ts %D%/src/state/request.ts %D%/src/state/returned.ts \
	%D%/src/state/room.ts %D%/src/state/summary.ts %D%/src/state/variations.ts \
	%D%/src/state/zip.test.ts \
	%D%/src/state/zip.ts %D%/src/state/zoom.ts \
	%D%/src/state/bidi.ts %D%/src/state/install.ts %D%/src/state/languages.ts \
	%D%/src/state/shell.test.ts %D%/src/state/wait.ts \
	%D%/src/state/words/de.ts %D%/src/state/words/en.ts %D%/src/state/words/es.ts \
	%D%/src/state/words/fr.ts %D%/src/state/words/ja.ts %D%/src/state/words/pt-BR.ts \
	%D%/src/state/words/zh-CN.ts
# films
WEB_FILES += %D%/src/parts/FilmDialog.vue %D%/src/parts/FilmNote.vue %D%/src/parts/FilmView.vue \
	%D%/src/state/animation.ts %D%/src/state/film.test.ts %D%/src/state/film.ts \
	%D%/src/state/film-file.ts %D%/src/state/gif.ts %D%/src/state/gif-writer.ts %D%/src/state/record.ts \
	%D%/src/state/webp.ts %D%/src/state/webp-lossless.ts
EXTRA_DIST += $(WEB_FILES)

if WEB
WEB_STAMP = share/nst/web.stamp
endif
share/nst/web.stamp: $(WEB_FILES) scripts/make-web
	$(AM_V_at)$(MKDIR_P) share/nst
	$(AM_V_GEN)'$(srcdir)/scripts/make-web' $(web) share/nst/web
	$(AM_V_at)touch $@

# Try again what --with-web=auto did without.
web:
	'$(srcdir)/scripts/make-web' yes share/nst/web
	touch share/nst/web.stamp
.PHONY: web

# Copy the page, if there is one, into a folder.
copy_web = copy() { \
	test -f share/nst/web/index.html || return 0; \
	for d in web web/assets; do \
		$(MKDIR_P) "$$1/$$d" || return 1; \
		for f in share/nst/$$d/*; do \
			test ! -f "$$f" || $(INSTALL_DATA) "$$f" "$$1/$$d/" || return 1; \
		done; done; }; copy
dist-hook:
	$(copy_web) '$(distdir)'
	@test -f share/nst/web/index.html || \
	    echo 'warning: this tarball has no web page: it was not built' >&2
