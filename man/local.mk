dist_man_MANS += %D%/nst.1 %D%/nst-compare.1 %D%/nst-film.1 %D%/nst-history.1 %D%/nst-model.1 %D%/nst-style.1 %D%/nst-train.1 \
	%D%/nst-history.5 %D%/nst-presets.5 %D%/nst.7
if SERVE
dist_man_MANS += %D%/nst-serve.8
endif
