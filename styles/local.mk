# Made by scripts/make-styles: the packs that are installed.
dist_styles_DATA = \
	%D%/hokusai.nststyle \
	%D%/kandinsky.nststyle \
	%D%/munch.nststyle \
	%D%/van-gogh.nststyle
