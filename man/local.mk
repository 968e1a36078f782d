dist_man_MANS += %D%/nst.1
